package main

import (
	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
)

// A Kustomization's healthCheckExprs.
type expressions struct {
	Current    string `json:"current"`
	Failed     string `json:"failed"`
	InProgress string `json:"inProgress"`
}

// The order of Flux's RFC 0009: a generation that was not observed, then inProgress, failed and current.
func (e expressions) evaluate(object map[string]any) (string, error) {
	status, _ := object["status"].(map[string]any)
	metadata, _ := object["metadata"].(map[string]any)
	observed, known := status["observedGeneration"].(int64)
	if generation, ok := metadata["generation"].(int64); known && ok && observed != generation {
		return "InProgress", nil
	}
	for _, rule := range []struct{ text, verdict string }{
		{e.InProgress, "InProgress"}, {e.Failed, "Failed"}, {e.Current, "Current"},
	} {
		if rule.text == "" {
			continue
		}
		holds, err := evaluate(rule.text, object)
		if err != nil {
			return "", err
		}
		if holds {
			return rule.verdict, nil
		}
	}
	return "InProgress", nil
}

// Flux parses without types, in this environment.
func evaluate(text string, object map[string]any) (bool, error) {
	env, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders(),
	)
	if err != nil {
		return false, err
	}
	parsed, issues := env.Parse(text)
	if issues != nil && issues.Err() != nil {
		return false, issues.Err()
	}
	program, err := env.Program(parsed)
	if err != nil {
		return false, err
	}
	value, _, err := program.Eval(object)
	if err != nil {
		return false, err
	}
	holds, ok := value.Value().(bool)
	if !ok {
		return false, errNotBoolean
	}
	return holds, nil
}
