// otlp-receiver takes OTLP over HTTP as OpenTelemetry's Collector does, with the Collector's own decoders, and prints
// what it got: one line of the Collector's JSON for each request. It answers 400 where a request can't be decoded.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

func traces(json bool, body []byte) ([]byte, error) {
	request := ptraceotlp.NewExportRequest()
	decode := request.UnmarshalProto
	if json {
		decode = request.UnmarshalJSON
	}
	if err := decode(body); err != nil {
		return nil, err
	}
	return (&ptrace.JSONMarshaler{}).MarshalTraces(request.Traces())
}

func metrics(json bool, body []byte) ([]byte, error) {
	request := pmetricotlp.NewExportRequest()
	decode := request.UnmarshalProto
	if json {
		decode = request.UnmarshalJSON
	}
	if err := decode(body); err != nil {
		return nil, err
	}
	return (&pmetric.JSONMarshaler{}).MarshalMetrics(request.Metrics())
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	decoders := map[string]func(bool, []byte) ([]byte, error){"/v1/traces": traces, "/v1/metrics": metrics}
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		decode, known := decoders[request.URL.Path]
		if !known {
			http.NotFound(answer, request)
			return
		}
		body, err := io.ReadAll(request.Body)
		var line []byte
		if err == nil {
			line, err = decode(strings.HasPrefix(request.Header.Get("content-type"), "application/json"), body)
		}
		if err != nil {
			fmt.Fprintf(os.Stdout, "{\"error\":%q}\n", err.Error())
			http.Error(answer, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(os.Stdout, string(line))
		answer.Header().Set("content-type", "application/json")
		fmt.Fprint(answer, "{}")
	})
	panic(http.Serve(listener, nil))
}
