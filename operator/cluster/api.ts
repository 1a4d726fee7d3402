/** A thin layer over client-node with the few API verbs that the operator needs. */
import {
  ApiException,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  DiscoveryV1Api,
  EventsV1Api,
  type KubeConfig,
  type KubernetesObject,
  KubernetesObjectApi,
  PatchStrategy,
  setHeaderOptions,
} from "@kubernetes/client-node";
import { type Egress, egressOf, urlWithCredentials } from "../../proxy/config/egress/egress.ts";
import { PooledKubeConfig } from "./kube-config.ts";

/** The operator's field manager. */
export const fieldManager = "sluice-operator";

/**
 * Annotations on objects that the operator creates, so that Argo CD neither prunes them nor reports an application as
 * out of sync because of them, even if a label makes it count them as its own.
 */
export const untracked = {
  "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
  "argocd.argoproj.io/sync-options": "Prune=false",
};

export interface Cluster {
  config: KubeConfig;
  core: CoreV1Api;
  custom: CustomObjectsApi;
  discovery: DiscoveryV1Api;
  events: EventsV1Api;
  coordination: CoordinationV1Api;
  /** Server-side apply with force, for objects that the operator owns. */
  apply(object: KubernetesObject & Record<string, unknown>): Promise<void>;
  /** Server-side apply of a custom object's status. */
  applyStatus(plural: string, object: KubernetesObject & Record<string, unknown>): Promise<void>;
}

const asApply = setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply);
export const asMerge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);

/** Reaches the API server as kubectl does: through the kubeconfig's `proxy-url`, else as HTTPS_PROXY says. */
export function useEgress(config: KubeConfig, egress: Egress): void {
  config.clusters = config.clusters.map((cluster) => {
    const url = cluster.proxyUrl ? null : URL.parse(cluster.server);
    const proxy = url === null ? null : egress.proxyFor(url);
    return proxy === null ? cluster : { ...cluster, proxyUrl: urlWithCredentials(proxy) };
  });
}

export function loadConfig(kubeconfig: string | null): PooledKubeConfig {
  const config = new PooledKubeConfig();
  if (kubeconfig !== null) config.loadFromFile(kubeconfig);
  else config.loadFromDefault();
  // client-node makes up this context when it finds no kubeconfig, and then fails to use it with an obscure error.
  if (config.getCurrentContext() === "loaded-context" && config.getCurrentCluster()?.server === "http://localhost:8080")
    throw new Error(
      "no cluster to connect to: there is no kubeconfig in ~/.kube/config, and neither KUBECONFIG nor --kubeconfig names one",
    );
  useEgress(config, egressOf(process.env));
  return config;
}

export function connectCluster(config: KubeConfig): Cluster {
  const objects = KubernetesObjectApi.makeApiClient(config);
  const custom = config.makeApiClient(CustomObjectsApi);
  return {
    config,
    core: config.makeApiClient(CoreV1Api),
    custom,
    discovery: config.makeApiClient(DiscoveryV1Api),
    events: config.makeApiClient(EventsV1Api),
    coordination: config.makeApiClient(CoordinationV1Api),
    async apply(object) {
      await objects.patch(object as never, undefined, undefined, fieldManager, true, PatchStrategy.ServerSideApply);
    },
    async applyStatus(plural, object) {
      const [group = "", version = ""] = (object.apiVersion ?? "").split("/");
      const { namespace = "", name = "" } = object.metadata ?? {};
      await custom.patchNamespacedCustomObjectStatus(
        { group, version, namespace, plural, name, body: object, fieldManager, force: true },
        asApply,
      );
    },
  };
}

/** HTTP status of a failed call; 0 if there was no response. */
export function statusCode(cause: unknown): number {
  if (cause instanceof ApiException) return cause.code;
  // The form of errors from the client's watches.
  return cause instanceof Error && "statusCode" in cause && typeof cause.statusCode === "number" ? cause.statusCode : 0;
}

/** The response, or null if the object does not exist. */
export async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (cause) {
    if (statusCode(cause) === 404) return null;
    throw cause;
  }
}

/** Message of a Status (meta/v1), as the API server's encoder escapes it. */
function messageIn(body: unknown): string | undefined {
  try {
    const { message } = JSON.parse(String(body)) as { message?: unknown };
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The API server's message if it sent one, else the error's first line: client-node puts headers and body into its
 * messages.
 */
export function inWords(cause: unknown): string {
  const theirs = messageIn((cause as { body?: unknown } | null)?.body);
  return (theirs ?? (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0] ?? "").slice(0, 300);
}
