/**
 * A real kube-apiserver on a real etcd, for one test file, on ports of its own.
 *
 * Neither a controller manager nor a kubelet runs: a Deployment makes no Pods, a namespace gets no `default`
 * ServiceAccount and stays Terminating when deleted, and nothing is garbage-collected. All admission plugins of a
 * usual cluster are on, so a Pod is refused whose ServiceAccount doesn't exist: create it first.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";
import { type Child, removeFolder, startChild, temporaryFolder } from "./child.ts";
import { freePort } from "./free-port.ts";
import { ensureTool } from "./tools.ts";
import { untilReady } from "./until-ready.ts";

export interface ApiServerOptions {
  /** Appended to the API server's own arguments, so they win. */
  apiServerArgs?: readonly string[];
}

export interface ApiServer {
  readonly url: string;
  /** PEM in base64, as in a kubeconfig. */
  readonly caData: string;
  readonly adminKubeconfigPath: string;
  /** Everything of this server; it goes with `stop`. Logs are `kube-apiserver.log` and `etcd.log`. */
  readonly dir: string;
  /** Writes a kubeconfig with a token that the API server issued for this ServiceAccount, which must exist. */
  kubeconfigFor(namespace: string, serviceAccount: string): Promise<string>;
  /** Ends both processes and removes their data. */
  stop(): Promise<void>;
  /** An outage: etcd and its data stay. */
  stopApiServer(): Promise<void>;
  /** Ends etcd and starts another on the same data; `meanwhile` runs while there is none. */
  restartEtcd(meanwhile: () => Promise<void>): Promise<void>;
  /** Same data, port, certificate and keys: earlier kubeconfigs go on working. */
  startApiServerAgain(): Promise<void>;
}

const readyWithinMs = 180_000;
const tokenLifeSeconds = 24 * 3600;

export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const dir = await temporaryFolder("apiserver");
  try {
    return await start(dir, options);
  } catch (error) {
    removeFolder(dir);
    throw error;
  }
}

async function start(dir: string, options: ApiServerOptions): Promise<ApiServer> {
  const binary = await ensureTool("kube-apiserver");
  const first = await startEtcd(dir);
  const { etcdUrl } = first;
  let { etcd } = first;
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const adminToken = randomBytes(24).toString("hex");
  await writeKeys(dir, adminToken);
  const args = [...apiServerArgs(dir, port, etcdUrl), ...(options.apiServerArgs ?? [])];
  const launch = () => launchApiServer(dir, binary, args, url, adminToken);

  let apiServer = await launch().catch(async (error: unknown) => {
    await etcd.end();
    throw error;
  });
  const caData = servingCa(dir).toString("base64");
  const adminKubeconfigPath = await writeKubeconfig(dir, "admin", { url, caData, token: adminToken });
  return {
    url,
    caData,
    adminKubeconfigPath,
    dir,
    kubeconfigFor: async (namespace, serviceAccount) => {
      const token = await requestToken(adminKubeconfigPath, namespace, serviceAccount);
      return writeKubeconfig(dir, `${namespace}.${serviceAccount}`, { url, caData, token, namespace });
    },
    stop: async () => {
      await Promise.all([apiServer.end(), etcd.end()]);
      removeFolder(dir);
    },
    stopApiServer: () => apiServer.end(),
    restartEtcd: async (meanwhile) => {
      await etcd.end();
      try {
        await meanwhile();
      } finally {
        ({ etcd } = await startEtcd(dir, etcdUrl));
      }
    },
    startApiServerAgain: async () => {
      if (!apiServer.running()) apiServer = await launch();
    },
  };
}

async function startEtcd(dir: string, etcdUrl?: string): Promise<{ etcd: Child; etcdUrl: string }> {
  etcdUrl ??= `http://127.0.0.1:${await freePort()}`;
  const peerUrl = `http://127.0.0.1:${await freePort()}`;
  const args = [
    `--data-dir=${join(dir, "etcd")}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    // Data need to outlive a process and not a power cut; fsync on a busy disk is most of etcd's time.
    "--unsafe-no-fsync",
    "--log-level=warn",
  ];
  const etcd = await startChild(await ensureTool("etcd"), args, { name: "etcd", logFile: join(dir, "etcd.log") });
  await untilReady(
    etcd,
    async () => (await fetch(`${etcdUrl}/readyz`, { signal: AbortSignal.timeout(10_000) })).ok,
    readyWithinMs,
  );
  return { etcd, etcdUrl };
}

function apiServerArgs(dir: string, port: number, etcdUrl: string): string[] {
  return [
    `--etcd-servers=${etcdUrl}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    // It makes its own serving certificate here when there is none, and finds it again at the next start.
    `--cert-dir=${join(dir, "certificates")}`,
    // It would publish its own address for the `kubernetes` Service, and loopback ones are refused.
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.96.0.0/16",
    "--authorization-mode=RBAC",
    `--token-auth-file=${join(dir, "tokens.csv")}`,
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-signing-key-file=${join(dir, "service-accounts.key")}`,
    `--service-account-key-file=${join(dir, "service-accounts.key")}`,
    // As in usual clusters: a privileged Pod is for PodSecurity to refuse, and not for validation.
    "--allow-privileged=true",
  ];
}

async function writeKeys(dir: string, adminToken: string): Promise<void> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await writeFile(join(dir, "service-accounts.key"), privateKey.export({ type: "sec1", format: "pem" }), {
    mode: 0o600,
  });
  await writeFile(join(dir, "tokens.csv"), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
}

async function launchApiServer(
  dir: string,
  binary: string,
  args: readonly string[],
  url: string,
  token: string,
): Promise<Child> {
  const child = await startChild(binary, args, { name: "kube-apiserver", logFile: join(dir, "kube-apiserver.log") });
  const answers = async (path: string) => (await statusOf(`${url}${path}`, servingCa(dir), token)) === 200;
  // The `default` namespace is made by a loop of its own, shortly after the server calls itself ready.
  await untilReady(
    child,
    async () => (await answers("/readyz")) && (await answers("/api/v1/namespaces/default")),
    readyWithinMs,
  );
  return child;
}

/** The file holds the serving certificate and, after it, the CA that signed it. */
function servingCa(dir: string): Buffer {
  return readFileSync(join(dir, "certificates", "apiserver.crt"));
}

function statusOf(url: string, ca: Buffer, token: string): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const headers = { authorization: `Bearer ${token}` };
  request(url, { ca, headers, agent: false, signal: AbortSignal.timeout(10_000) }, (response) => {
    response.resume();
    resolve(response.statusCode);
  })
    .on("error", reject)
    .end();
  return promise;
}

async function requestToken(adminKubeconfig: string, namespace: string, name: string): Promise<string> {
  const config = new KubeConfig();
  config.loadFromFile(adminKubeconfig);
  const spec = { audiences: [], expirationSeconds: tokenLifeSeconds };
  const issued = await config
    .makeApiClient(CoreV1Api)
    .createNamespacedServiceAccountToken({ name, namespace, body: { spec } });
  const token = issued.status?.token;
  if (!token) throw new Error(`no token was issued for ServiceAccount ${namespace}/${name}`);
  return token;
}

interface Access {
  url: string;
  caData: string;
  token: string;
  namespace?: string;
}

async function writeKubeconfig(dir: string, user: string, access: Access): Promise<string> {
  const { url, caData, token, namespace = "default" } = access;
  const path = join(dir, `${user}.kubeconfig`);
  const document = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority-data": caData } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: user, context: { cluster: "test", user, namespace } }],
    "current-context": user,
  };
  // JSON is YAML. Helm warns about a kubeconfig that others can read.
  await writeFile(path, JSON.stringify(document, null, 2), { mode: 0o600 });
  return path;
}
