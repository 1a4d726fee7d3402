/**
 * A whole installation: a real API server, the chart installed by real helm, the operator as a process under the
 * chart's ServiceAccount and RBAC, and proxies as processes on volumes that are kept as kubelet keeps them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppsV1Api, CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { type ApiServer, type ApiServerOptions, startApiServer } from "./apiserver.ts";
import { chart } from "./chart.ts";
import { type Child, startChild } from "./child.ts";
import { type Finished, run } from "./command.ts";
import { freePort } from "./free-port.ts";
import { type KubeletPod, startKubeletPod } from "./kubelet.ts";
import { ensureTool, skipWithout } from "./tools.ts";
import { until } from "./until.ts";
import { untilReady } from "./until-ready.ts";

/** Why a file of tests with a cluster can't run on this machine; false where it can. */
export const skipWithoutCluster = (): Promise<string | false> =>
  skipWithout("etcd", "kube-apiserver", "kubectl", "helm");

const root = join(import.meta.dirname, "..", "..");
const node = join(root, "node_modules", ".bin", "node");
const main = join(root, "cli", "main.ts");

export { chart };
export const release = "sluice";
export const systemNamespace = "sluice-system";

export interface OperatorProcess extends Child {
  readonly statusUrl: string;
}

export interface ProxyProcess {
  readonly url: string;
  readonly statusUrl: string;
  readonly pod: KubeletPod;
  readonly child: Child;
  status(): Promise<{ revision: string | null; ready: boolean; rejected: { reason: string } | null }>;
  /** Ends the process and starts another on what the volume holds. */
  restart(): Promise<void>;
}

export interface Cluster {
  readonly apiServer: ApiServer;
  readonly admin: KubeConfig;
  readonly proxies: readonly ProxyProcess[];
  /** `edit` changes the settings that the chart rendered. */
  startOperator(edit?: (settings: string) => string): Promise<OperatorProcess>;
  kubectl(...args: string[]): Promise<string>;
  tryKubectl(...args: string[]): Promise<Finished>;
  /** `kubectl apply -f` of a text. */
  apply(manifests: string): Promise<void>;
  tryApply(manifests: string): Promise<Finished>;
  helm(...args: string[]): Promise<string>;
  namespace(name: string, labels?: Record<string, string>): Promise<void>;
  /** Everything that any process of it has logged. */
  logs(): string;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  proxies?: number;
  /** Made before the chart is installed. */
  namespaces?: readonly string[];
  /** Lines of `--set` for helm. */
  set?: readonly string[];
  apiServer?: ApiServerOptions;
  /** Further arguments of the proxies. */
  proxyArgs?: readonly string[];
  /** The command line as bundled for the image; default: its source. */
  main?: string;
}

function succeeded(what: string, { code, stdout, stderr }: Finished): string {
  if (code !== 0) throw new Error(`${what} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const apiServer = await startApiServer(options.apiServer);
  const stops: (() => Promise<void>)[] = [() => apiServer.stop()];
  try {
    return await start(apiServer, options, stops);
  } catch (cause) {
    for (const stop of stops.reverse()) await stop();
    throw cause;
  }
}

async function start(apiServer: ApiServer, options: ClusterOptions, stops: (() => Promise<void>)[]): Promise<Cluster> {
  const { dir } = apiServer;
  const admin = new KubeConfig();
  admin.loadFromFile(apiServer.adminKubeconfigPath);
  const core = admin.makeApiClient(CoreV1Api);
  const logFolder = join(dir, "logs");
  await mkdir(logFolder);
  const [kubectlPath, helmPath] = await Promise.all([ensureTool("kubectl"), ensureTool("helm")]);
  const env = {
    ...process.env,
    KUBECONFIG: apiServer.adminKubeconfigPath,
    HELM_CACHE_HOME: join(dir, "helm"),
    HELM_CONFIG_HOME: join(dir, "helm"),
    HOME: dir,
  };
  let files = 0;

  const tryKubectl = (...args: string[]): Promise<Finished> => run(kubectlPath, args, { env });
  const helm = async (...args: string[]): Promise<string> =>
    succeeded(`helm ${args[0]}`, await run(helmPath, args, { env }));
  const tryApply = async (manifests: string): Promise<Finished> => {
    const file = join(dir, `manifest-${files++}.yaml`);
    await writeFile(file, manifests);
    return tryKubectl("apply", "-f", file);
  };
  const namespace = async (name: string, labels: Record<string, string> = {}): Promise<void> => {
    await core.createNamespace({ body: { metadata: { name, labels } } });
  };

  await namespace(systemNamespace, { "pod-security.kubernetes.io/enforce": "restricted" });
  for (const name of options.namespaces ?? []) await namespace(name);
  // EndpointSlices refuse loopback addresses, and nothing here talks to any other: the operator gets the proxies' addresses.
  const statusPorts = await Promise.all(Array.from({ length: options.proxies ?? 2 }, () => freePort()));
  const statusUrls = statusPorts.map((port, index) => `operator.proxyStatusUrls[${index}]=http://127.0.0.1:${port}`);
  // Upstreams of tests are on loopback.
  const privateNamespaces = "operator.privateEndpointNamespaces[0]=*";
  const sets = [...statusUrls, privateNamespaces, ...(options.set ?? [])].flatMap((one) => ["--set", one]);
  await helm("install", release, chart, "--namespace", systemNamespace, ...sets);

  const settings =
    (await core.readNamespacedConfigMap({ namespace: systemNamespace, name: `${release}-operator` })).data?.[
      "settings.yaml"
    ] ?? "";
  const kubeconfig = await apiServer.kubeconfigFor(systemNamespace, `${release}-operator`);
  let operators = 0;
  const startOperator = async (edit = (text: string): string => text): Promise<OperatorProcess> => {
    const port = await freePort();
    const name = `operator-${operators++}`;
    const settingsFile = join(dir, `${name}-settings.yaml`);
    await writeFile(settingsFile, edit(settings));
    const args = [
      options.main ?? main,
      "operator",
      `--settings=${settingsFile}`,
      `--kubeconfig=${kubeconfig}`,
      `--status-port=${port}`,
    ];
    const child = await startChild(node, args, { name, logFile: join(logFolder, `${name}.log`) });
    stops.push(() => child.end("SIGTERM"));
    return { ...child, statusUrl: `http://127.0.0.1:${port}` };
  };

  const deployment = await admin
    .makeApiClient(AppsV1Api)
    .readNamespacedDeployment({ namespace: systemNamespace, name: `${release}-proxy` });
  const proxies: ProxyProcess[] = [];
  for (const [index, statusPort] of statusPorts.entries()) {
    const proxy = await startProxy(`${release}-proxy-${index}`, statusPort);
    proxies.push(proxy);
    stops.push(async () => {
      await proxy.pod.stop();
      await proxy.child.end("SIGTERM");
    });
  }

  async function startProxy(name: string, statusPort: number): Promise<ProxyProcess> {
    const port = await freePort();
    const statusUrl = `http://127.0.0.1:${statusPort}`;
    const folder = join(dir, "volumes", name);
    const launch = (): Promise<Child> => {
      const args = [
        options.main ?? main,
        "proxy",
        `--config-dir=${folder}`,
        "--host=127.0.0.1",
        `--port=${port}`,
        "--status-host=127.0.0.1",
        `--status-port=${statusPort}`,
        "--drain-ms=2000",
        ...(options.proxyArgs ?? []),
      ];
      return startChild(node, args, { name, logFile: join(logFolder, `${name}.log`) });
    };
    const pod = await startKubeletPod({
      config: admin,
      namespace: systemNamespace,
      name,
      template: deployment.spec?.template ?? {},
      volume: "config",
      folder,
      endpoint: null,
      ready: async () => (await fetch(`${statusUrl}/readyz`, { signal: AbortSignal.timeout(5_000) })).ok,
    });
    let child = await launch();
    return {
      url: `http://127.0.0.1:${port}`,
      statusUrl,
      pod,
      get child() {
        return child;
      },
      status: async () =>
        (await fetch(`${statusUrl}/status`, { signal: AbortSignal.timeout(10_000) })).json() as ReturnType<
          ProxyProcess["status"]
        >,
      restart: async () => {
        await child.end("SIGTERM");
        child = await launch();
        await untilReady(child, async () => (await fetch(`${statusUrl}/livez`)).ok, 60_000);
      },
    };
  }

  return {
    apiServer,
    admin,
    proxies,
    startOperator,
    tryKubectl,
    kubectl: async (...args) => succeeded(`kubectl ${args.join(" ")}`, await tryKubectl(...args)),
    tryApply,
    apply: async (manifests) => void succeeded("kubectl apply", await tryApply(manifests)),
    helm,
    namespace,
    logs: () =>
      readdirSync(logFolder)
        .map((name) => readFileSync(join(logFolder, name), "utf8"))
        .join("\n"),
    stop: async () => {
      for (const stop of stops.reverse()) await stop();
    },
  };
}

export interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
  observedGeneration: number;
  lastTransitionTime: string;
}

/** Conditions of an object by type. */
export async function conditionsOf(
  cluster: Cluster,
  namespace: string,
  object: string,
): Promise<Record<string, Condition>> {
  const found = JSON.parse(await cluster.kubectl("get", object, "-n", namespace, "-o", "json")) as {
    status?: { conditions?: Condition[] };
    metadata: { generation: number };
  };
  const current = (found.status?.conditions ?? []).filter(
    (one) => one.observedGeneration === found.metadata.generation,
  );
  return Object.fromEntries(current.map((one) => [one.type, one]));
}

/** Events about objects of a namespace, a line each. `fields`: of events.k8s.io/v1, such as `.reason`, with a blank between them. */
export async function eventsIn(cluster: Cluster, namespace: string, ...fields: readonly string[]): Promise<string[]> {
  const line = `jsonpath={range .items[*]}${fields.map((field) => `{${field}}`).join(" ")}{'\\n'}{end}`;
  return (await cluster.kubectl("get", "events.events.k8s.io", "-n", namespace, "-o", line)).split("\n");
}

/** Waits until a condition of the object's present generation is as wanted, and returns it. */
export function untilCondition(
  cluster: Cluster,
  namespace: string,
  object: string,
  wanted: Partial<Condition> & { type: string },
  timeoutMs = 90_000,
): Promise<Condition> {
  return until(
    `${object} in ${namespace} has ${JSON.stringify(wanted)}`,
    async () => {
      const conditions = await conditionsOf(cluster, namespace, object);
      const one = conditions[wanted.type];
      const fits =
        one !== undefined && Object.entries(wanted).every(([field, value]) => one[field as keyof Condition] === value);
      if (!fits) throw new Error(JSON.stringify(conditions));
      return one;
    },
    timeoutMs,
    200,
  );
}
