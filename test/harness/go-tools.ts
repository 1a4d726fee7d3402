/** The tools that are built from their Go modules: what each is made of. */
import { join } from "node:path";

const modules = join(import.meta.dirname, "..", "tools");

export interface GoTool {
  /** Folder with the go.mod that pins it. */
  folder: string;
  package: string;
  /** The module whose version is the tool's own. */
  versionOf: string;
  /** `-X` settings of the linker; `versions` gives a module's version in that go.mod, without its `v`. */
  stamps(version: (module: string) => string): Record<string, string>;
}

export const goTools = {
  "kube-apiserver": kubernetes("k8s.io/kubernetes/cmd/kube-apiserver"),
  kubectl: kubernetes("k8s.io/kubernetes/cmd/kubectl"),
  kubelet: kubernetes("k8s.io/kubernetes/cmd/kubelet", "kubernetes-node"),
  "kube-controller-manager": kubernetes("k8s.io/kubernetes/cmd/kube-controller-manager", "kubernetes-node"),
  "kube-scheduler": kubernetes("k8s.io/kubernetes/cmd/kube-scheduler", "kubernetes-node"),
  "kube-proxy": kubernetes("k8s.io/kubernetes/cmd/kube-proxy", "kubernetes-node"),
  // For HorizontalPodAutoscalers on a real node. Its generated code works with its own version of Kubernetes' libraries only.
  "metrics-server": {
    folder: join(modules, "metrics-server"),
    package: "sigs.k8s.io/metrics-server/cmd/metrics-server",
    versionOf: "sigs.k8s.io/metrics-server",
    stamps: () => ({}),
  },
  // Enforces NetworkPolicies on a real node.
  "kube-router": {
    ...kubernetes("github.com/cloudnativelabs/kube-router/v2/cmd/kube-router", "kubernetes-node"),
    versionOf: "github.com/cloudnativelabs/kube-router/v2",
  },
  etcd: {
    folder: join(modules, "etcd"),
    package: "go.etcd.io/etcd/server/v3",
    versionOf: "go.etcd.io/etcd/server/v3",
    stamps: () => ({}),
  },
  // The decoders of OpenTelemetry's Collector, behind a server of a few lines.
  "otlp-receiver": {
    folder: join(modules, "otlp-receiver"),
    package: ".",
    versionOf: "go.opentelemetry.io/collector/pdata",
    stamps: () => ({}),
  },
  // OpenTelemetry's Collector with the components that its users put before everything else.
  "otel-collector": {
    folder: join(modules, "otel-collector"),
    package: ".",
    versionOf: "go.opentelemetry.io/collector/otelcol",
    stamps: () => ({}),
  },
  fortio: {
    folder: join(modules, "fortio"),
    package: "fortio.org/fortio",
    versionOf: "fortio.org/fortio",
    stamps: () => ({}),
  },
  "gitops-judge": {
    folder: join(modules, "gitops-judge"),
    package: ".",
    versionOf: "sigs.k8s.io/cli-utils",
    stamps: () => ({}),
  },
  // Argo CD's engine, which takes objects and returns what it did and what it then sees.
  "argocd-engine": {
    folder: join(modules, "argocd-engine"),
    package: ".",
    versionOf: "github.com/argoproj/argo-cd/gitops-engine",
    stamps: () => ({}),
  },
  kubeconform: {
    folder: join(modules, "kubeconform"),
    package: "github.com/yannh/kubeconform/cmd/kubeconform",
    versionOf: "github.com/yannh/kubeconform",
    stamps: () => ({}),
  },
  "kube-score": {
    folder: join(modules, "kube-score"),
    package: "github.com/zegl/kube-score/cmd/kube-score",
    versionOf: "github.com/zegl/kube-score",
    stamps: () => ({}),
  },
  helm: {
    folder: join(modules, "helm"),
    package: "helm.sh/helm/v3/cmd/helm",
    versionOf: "helm.sh/helm/v3",
    stamps: helmStamps,
  },
} satisfies Record<string, GoTool>;

export type ToolName = keyof typeof goTools;

/** Built without these the API server calls itself v0.0.0-master, which clients that compare versions stumble over. */
function kubernetes(main: string, folder = "kube-apiserver"): GoTool {
  return {
    folder: join(modules, folder),
    package: main,
    versionOf: "k8s.io/kubernetes",
    stamps: (versionOf) => {
      const version = versionOf("k8s.io/kubernetes");
      const [major = "", minor = ""] = version.split(".");
      const fields = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
      const stamped = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
      return Object.fromEntries(
        stamped.flatMap((path) => Object.entries(fields).map(([field, value]) => [`${path}.${field}`, value])),
      );
    },
  };
}

/** `helm template` and `helm lint` judge a chart by this Kubernetes version, 1.20 if nobody says otherwise. */
function helmStamps(versionOf: (module: string) => string): Record<string, string> {
  const minor = versionOf("k8s.io/client-go").split(".")[1] ?? "";
  const stamps: Record<string, string> = {
    "helm.sh/helm/v3/internal/version.version": `v${versionOf("helm.sh/helm/v3")}`,
  };
  for (const path of ["helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules"]) {
    stamps[`${path}.k8sVersionMajor`] = "1";
    stamps[`${path}.k8sVersionMinor`] = minor;
  }
  return stamps;
}
