// Judges Kubernetes objects as GitOps tools do: kstatus as Helm 4 and kpt call it, health scripts and actions in the Lua
// that Argo CD runs them with, and health check expressions in the CEL that Flux evaluates them with. Reads a JSON array
// of questions from standard input and writes a JSON array of answers.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	// kstatus, argo or flux.
	Judge  string          `json:"judge"`
	Object json.RawMessage `json:"object"`
	// Of argo: what it returns is the answer.
	Script string `json:"script"`
	// Of flux.
	Expressions expressions `json:"expressions"`
}

type answer struct {
	Status  string          `json:"status,omitempty"`
	Message string          `json:"message,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   string          `json:"error,omitempty"`
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	answers := make([]answer, 0, len(questions))
	for _, asked := range questions {
		given, err := judge(asked)
		if err != nil {
			given = answer{Error: err.Error()}
		}
		answers = append(answers, given)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func judge(asked question) (answer, error) {
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asked.Object); err != nil {
		return answer{}, err
	}
	switch asked.Judge {
	case "kstatus":
		result, err := status.Compute(object)
		if err != nil {
			return answer{}, err
		}
		return answer{Status: result.Status.String(), Message: result.Message}, nil
	case "flux":
		found, err := asked.Expressions.evaluate(object.UnstructuredContent())
		return answer{Status: found}, err
	case "argo":
		result, err := runLua(object.UnstructuredContent(), asked.Script)
		return answer{Result: result}, err
	}
	return answer{}, fmt.Errorf("unknown judge %q", asked.Judge)
}
