// otlp-receiver takes OTLP as OpenTelemetry's Collector does, with the Collector's own decoders, and prints what it got:
// one line of the Collector's JSON for each request. Requests that can't be decoded are refused, and so are those
// without the authorization of OTLP_AUTHORIZATION, where that is set.
//
// Usage: otlp-receiver HTTP_PORT GRPC_PORT [CERTIFICATE KEY]
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var authorization = os.Getenv("OTLP_AUTHORIZATION")

func received(line []byte, err error) error {
	if err != nil {
		fmt.Fprintf(os.Stdout, "{\"error\":%q}\n", err.Error())
		return err
	}
	fmt.Fprintln(os.Stdout, string(line))
	return nil
}

func traces(request ptraceotlp.ExportRequest) error {
	return received((&ptrace.JSONMarshaler{}).MarshalTraces(request.Traces()))
}

func metrics(request pmetricotlp.ExportRequest) error {
	return received((&pmetric.JSONMarshaler{}).MarshalMetrics(request.Metrics()))
}

type request interface {
	UnmarshalJSON([]byte) error
	UnmarshalProto([]byte) error
}

// decode reads a body by its type, which must be one of the two of the specification.
func decode(contentType string, body []byte, into request) (int, error) {
	var err error
	switch contentType {
	case "application/json":
		err = into.UnmarshalJSON(body)
	case "application/x-protobuf":
		err = into.UnmarshalProto(body)
	default:
		return http.StatusUnsupportedMediaType, fmt.Errorf("content type %q", contentType)
	}
	return http.StatusBadRequest, err
}

func take(path, contentType string, body []byte) (int, error) {
	switch path {
	case "/v1/traces":
		request := ptraceotlp.NewExportRequest()
		if code, err := decode(contentType, body, request); err != nil {
			return code, received(nil, err)
		}
		return http.StatusInternalServerError, traces(request)
	case "/v1/metrics":
		request := pmetricotlp.NewExportRequest()
		if code, err := decode(contentType, body, request); err != nil {
			return code, received(nil, err)
		}
		return http.StatusInternalServerError, metrics(request)
	}
	return http.StatusNotFound, fmt.Errorf("no such path: %s", path)
}

func handle(answer http.ResponseWriter, request *http.Request) {
	if authorization != "" && request.Header.Get("authorization") != authorization {
		http.Error(answer, "unauthorized", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(request.Body)
	code := http.StatusBadRequest
	if err == nil {
		code, err = take(request.URL.Path, request.Header.Get("content-type"), body)
	}
	if err != nil {
		http.Error(answer, err.Error(), code)
		return
	}
	answer.Header().Set("content-type", request.Header.Get("content-type"))
	if request.Header.Get("content-type") == "application/json" {
		fmt.Fprint(answer, "{}")
	}
}

type traceService struct {
	ptraceotlp.UnimplementedGRPCServer
}

func (traceService) Export(_ context.Context, request ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	return ptraceotlp.NewExportResponse(), traces(request)
}

type metricsService struct {
	pmetricotlp.UnimplementedGRPCServer
}

func (metricsService) Export(_ context.Context, request pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	return pmetricotlp.NewExportResponse(), metrics(request)
}

func authorize(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	sent := metadata.ValueFromIncomingContext(ctx, "authorization")
	if authorization != "" && (len(sent) != 1 || sent[0] != authorization) {
		return nil, status.Error(codes.Unauthenticated, "unauthorized")
	}
	return next(ctx, request)
}

func listen(port string) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	return listener
}

func main() {
	options := []grpc.ServerOption{grpc.UnaryInterceptor(authorize)}
	secure := len(os.Args) > 3
	if secure {
		pair, err := credentials.NewServerTLSFromFile(os.Args[3], os.Args[4])
		if err != nil {
			panic(err)
		}
		options = append(options, grpc.Creds(pair))
	}
	server := grpc.NewServer(options...)
	ptraceotlp.RegisterGRPCServer(server, &traceService{})
	pmetricotlp.RegisterGRPCServer(server, &metricsService{})
	rpc, web := listen(os.Args[2]), listen(os.Args[1])
	go func() { panic(server.Serve(rpc)) }()
	http.HandleFunc("/", handle)
	if secure {
		panic(http.ServeTLS(web, nil, os.Args[3], os.Args[4]))
	}
	panic(http.Serve(web, nil))
}
