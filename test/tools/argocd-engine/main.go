// Applies objects as Argo CD does, by its own engine, and compares what is then in the cluster with what was applied, in
// each way that Argo CD can compare. Arguments: a kubeconfig. Reads JSON {objects, serverSideApply, compareOnly} from standard input
// and writes one JSON answer for each object.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/engine"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The field manager of Argo CD's application controller.
const manager = "argocd-controller"

type request struct {
	Objects         []map[string]any `json:"objects"`
	ServerSideApply bool             `json:"serverSideApply"`
	// Applies nothing.
	CompareOnly bool `json:"compareOnly"`
}

type answer struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Synced, or why it could not be applied.
	Sync    string `json:"sync"`
	Message string `json:"message"`
	// The two states that differ, by the way of comparing; empty if nothing does.
	Differences map[string]difference `json:"differences"`
}

type difference struct {
	Live      json.RawMessage `json:"live,omitempty"`
	Predicted json.RawMessage `json:"predicted,omitempty"`
	Error     string          `json:"error,omitempty"`
}

func main() {
	answers, err := run()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() ([]answer, error) {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 200, 400
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	quiet := logr.Discard()
	kubectl := &kube.KubectlCmd{Log: quiet, Tracer: tracing.NopTracer{}}
	clusterCache := cache.NewClusterCache(config, cache.SetLogr(quiet), cache.SetKubectl(kubectl),
		// Keeps whole objects, as the application controller does for those that it manages.
		cache.SetPopulateResourceInfoHandler(func(*unstructured.Unstructured, bool) (any, bool) { return nil, true }))
	gitops := engine.NewEngine(config, clusterCache, engine.WithLogr(quiet), engine.WithKubectl(kubectl))
	stop, err := gitops.Run()
	if err != nil {
		return nil, err
	}
	defer stop()
	objects := make([]*unstructured.Unstructured, 0, len(asked.Objects))
	for _, object := range asked.Objects {
		objects = append(objects, &unstructured.Unstructured{Object: object})
	}
	var results []common.ResourceSyncResult
	if !asked.CompareOnly {
		results, err = gitops.Sync(ctx, objects, func(*cache.Resource) bool { return false }, "revision", "default",
			sync.WithServerSideApply(asked.ServerSideApply), sync.WithServerSideApplyManager(manager),
			sync.WithManifestValidation(true), sync.WithLogr(quiet))
		if err != nil && len(results) == 0 {
			return nil, err
		}
	}
	outcomes := map[string][2]string{}
	for _, result := range results {
		outcomes[result.ResourceKey.String()] = [2]string{string(result.Status), result.Message}
	}
	ways, finish, err := waysToCompare(config, kubectl, clusterCache)
	if err != nil {
		return nil, err
	}
	defer finish()
	answers := make([]answer, 0, len(objects))
	for _, object := range objects {
		key := kube.GetResourceKey(object)
		outcome := outcomes[key.String()]
		given := answer{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName(),
			Sync: outcome[0], Message: outcome[1], Differences: map[string]difference{}}
		live, err := kubectl.GetResource(ctx, config, object.GroupVersionKind(), object.GetName(), object.GetNamespace())
		if err != nil {
			return nil, err
		}
		for way, options := range ways {
			if found := compare(object, live, options); found != nil {
				given.Differences[way] = *found
			}
		}
		answers = append(answers, given)
	}
	return answers, nil
}

// The three ways: by the last applied configuration, with ServerSideApply=true, and with ServerSideDiff=true.
func waysToCompare(config *rest.Config, kubectl *kube.KubectlCmd, clusterCache cache.ClusterCache) (map[string][]diff.Option, func(), error) {
	applier, finish, err := kubectl.ManageServerSideDiffDryRuns(config)
	if err != nil {
		return nil, nil, err
	}
	shared := []diff.Option{diff.WithLogr(logr.Discard()), diff.WithManager(manager), diff.WithGVKParser(clusterCache.GetGVKParser())}
	with := func(more ...diff.Option) []diff.Option { return append(append([]diff.Option{}, shared...), more...) }
	return map[string][]diff.Option{
		"lastApplied":     with(),
		"structuredMerge": with(diff.WithStructuredMergeDiff(true)),
		"serverSide":      with(diff.WithServerSideDiff(true), diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier))),
	}, finish, nil
}

func compare(object, live *unstructured.Unstructured, options []diff.Option) *difference {
	result, err := diff.Diff(object, live, options...)
	if err != nil {
		return &difference{Error: err.Error()}
	}
	if !result.Modified {
		return nil
	}
	return &difference{Live: result.NormalizedLive, Predicted: result.PredictedLive}
}
