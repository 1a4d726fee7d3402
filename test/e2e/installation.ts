/** A release of the chart on a real node, with a provider and load generators in the node's network. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "../harness/until.ts";
import { Builder, currentTag, type Images } from "./images.ts";
import { installNodePackages, KubeNode, nodePrograms } from "./node.ts";

const root = join(import.meta.dirname, "../..");
export const chart = join(root, "charts/sluice");
export const system = "sluice-system";

/** What a load is: a key other than alice's, or an authority to trust. */
export interface LoadOptions {
  key?: string;
  url?: string;
  caFile?: string;
}

export interface LoadResult {
  kind: string;
  ok: number;
  others: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
  failures: string[];
}

interface Restarts {
  count: number;
  exitCode: number | undefined;
  reason: string | undefined;
}

export class Installation {
  readonly node: KubeNode;
  /** Address of the node. */
  readonly host: string;
  readonly #started: ChildProcess[] = [];

  constructor(node: KubeNode, family: "ipv4" | "ipv6") {
    this.node = node;
    this.host = family === "ipv6" ? "fd77::1" : "10.77.0.1";
  }

  #spawn(file: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): ChildProcess {
    const { command, env } = this.node.prefix();
    const stdio = ["pipe", "pipe", "inherit"] as const;
    const all = [process.execPath, join(import.meta.dirname, file), ...args];
    return spawn(command, all, { env: { ...env, ...more }, stdio: [...stdio] });
  }

  /** A program that goes on in the node's network until the installation is stopped. Its log is among the node's. */
  startProcess(binary: string, args: readonly string[]): void {
    const { command, env } = this.node.prefix();
    const log = openSync(join(this.node.home, "log", `${basename(binary)}.log`), "a");
    this.#started.push(spawn(command, [binary, ...args], { env, stdio: ["ignore", log, log] }));
    closeSync(log);
  }

  async startProvider(port = 9000): Promise<void> {
    const provider = this.#spawn("provider.ts", [this.host, String(port)]);
    this.#started.push(provider);
    if (provider.stdout !== null) await once(provider.stdout, "data");
  }

  /** A namespace that refuses Pods which don't meet the strictest level of pod security. */
  async namespace(name: string): Promise<void> {
    await this.node.kubectl("create", "namespace", name);
    await this.node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted");
  }

  helm(verb: "install" | "upgrade", ...set: string[]): Promise<void> {
    return this.helmWith(chart, currentTag, verb, ...set);
  }

  async helmWith(folder: string, tag: string, verb: "install" | "upgrade", ...set: string[]): Promise<void> {
    const base = ["image.repository=localhost/sluice", `image.tag=${tag}`, ...set];
    const values = base.flatMap((value) => (value.startsWith("--") ? [value] : ["--set", value]));
    await this.node.must("helm", verb, "sluice", folder, "-n", system, ...values, "--wait", "--timeout", "240s");
  }

  async applyTenant(): Promise<void> {
    const host = this.host.includes(":") ? `[${this.host}]` : this.host;
    const secret = await this.node.run("kubectl", "-n", "team-a", "get", "secret", "up");
    if (secret.code !== 0) {
      await this.node.kubectl("-n", "team-a", "create", "secret", "generic", "up", "--from-literal=apiKey=sk-e2e");
      await this.node.kubectl("-n", "team-a", "label", "secret", "up", "sluice.dev/readable=true");
    }
    await this.node.apply(`
apiVersion: sluice.dev/v1alpha1
kind: LLMProvider
metadata: { name: up, namespace: team-a }
spec:
  type: OpenAICompatible
  endpoint: "http://${host}:9000/v1"
  allowPrivateEndpoint: true
  credentials: { secretRef: { name: up, key: apiKey } }
  models: [{ name: fast }, { name: mid }, { name: slow }]
---
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec:
  match: { models: [fast, mid, slow] }
  routing: { targets: [{ provider: { name: up } }] }
---
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: alice, namespace: team-a }
spec: { user: alice@example.com, team: a, writeTo: { name: alice-llm-key } }
`);
    const objects = ["llmprovider/up", "routingpolicy/chat", "apikey/alice"];
    await this.node.kubectl("wait", "-n", "team-a", "--for=condition=Programmed", "--timeout=120s", ...objects);
  }

  async key(secret = "alice-llm-key"): Promise<string> {
    const path = "jsonpath={.data.apiKey}";
    const encoded = await this.node.kubectl("get", "secret", secret, "-n", "team-a", "-o", path);
    return Buffer.from(encoded, "base64").toString();
  }

  async serviceUrl(): Promise<string> {
    const path = "jsonpath={.spec.clusterIP}";
    const address = await this.node.kubectl("-n", system, "get", "service", "sluice", "-o", path);
    return `http://${address.includes(":") ? `[${address}]` : address}`;
  }

  /** Status and body of a call through the Service, by curl in the node's network. */
  async call(path: string, body?: object, key?: string): Promise<{ status: number; text: string }> {
    const post = body === undefined ? [] : ["-H", "content-type: application/json", "-d", JSON.stringify(body)];
    const authorization = `authorization: Bearer ${key ?? (await this.key())}`;
    const url = `${await this.serviceUrl()}${path}`;
    const options = ["-sg", "-m", "30", "-w", "\n%{http_code}", "-H", authorization];
    const done = await this.node.run("curl", ...options, ...post, url);
    const lines = done.stdout.split("\n");
    return { status: Number(lines.at(-1)), text: lines.slice(0, -1).join("\n") };
  }

  /** Calls go on for that time at least, and until the function that is returned is called for their outcome. */
  async startLoad(
    seconds: number,
    kind: string,
    workers: number,
    gapMs: number,
    { key, url, caFile }: LoadOptions = {},
  ): Promise<() => Promise<LoadResult>> {
    const where = [url ?? (await this.serviceUrl()), key ?? (await this.key())];
    const env = caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: caFile };
    const child = this.#spawn("load.ts", [...where, String(seconds), kind, String(workers), String(gapMs)], env);
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    const closed = once(child, "close");
    return async () => {
      child.stdin?.end();
      await closed;
      return JSON.parse(text) as LoadResult;
    };
  }

  /** What becomes of calls while something is done: until no Pod of the fleet that was stopped for it is left. */
  async loadDuring(
    change: () => Promise<void>,
    workers: Readonly<Record<string, number>>,
    options: LoadOptions = {},
  ): Promise<LoadResult[]> {
    const gapMs = { kept: 40, stream: 10 } as Readonly<Record<string, number>>;
    const loads = await Promise.all(
      Object.entries(workers).map(([kind, count]) => this.startLoad(10, kind, count, gapMs[kind] ?? 60, options)),
    );
    await sleep(3_000);
    await change();
    await this.stopped("proxy");
    await sleep(2_000);
    return Promise.all(loads.map((finished) => finished()));
  }

  /** How often the Pod's first container was started again, and how it ended the last time. */
  async restartsOf(pod: string): Promise<Restarts> {
    const { status } = JSON.parse(await this.node.kubectl("-n", system, "get", "pod", pod, "-o", "json"));
    const [container] = status.containerStatuses;
    const { exitCode, reason } = container.lastState.terminated ?? {};
    return { count: container.restartCount, exitCode, reason };
  }

  /** Waits until no Pod of the component is still being stopped. */
  async stopped(component: string): Promise<void> {
    const path = "jsonpath={.items[*].metadata.deletionTimestamp}";
    const selector = `app.kubernetes.io/component=${component}`;
    const stopping = (): Promise<string> => this.node.kubectl("-n", system, "get", "pods", "-l", selector, "-o", path);
    await until("stopped Pods are gone", async () => assert.equal(await stopping(), ""), 120_000, 500);
  }

  async pods(component: string): Promise<{ name: string; ip: string }[]> {
    const selector = `app.kubernetes.io/component=${component}`;
    const list = JSON.parse(await this.node.kubectl("-n", system, "get", "pods", "-l", selector, "-o", "json"));
    return list.items
      .filter(({ metadata }: { metadata: { deletionTimestamp?: string } }) => metadata.deletionTimestamp === undefined)
      .map((pod: { metadata: { name: string }; status: { podIP: string } }) => ({
        name: pod.metadata.name,
        ip: pod.status.podIP,
      }));
  }

  /** Process id, in the node, of a Pod's first container. */
  async processOf(pod: string): Promise<string> {
    const path = "jsonpath={.status.containerStatuses[0].containerID}";
    const id = (await this.node.kubectl("-n", system, "get", "pod", pod, "-o", path)).replace("containerd://", "");
    const tasks = await this.node.must("ctr", "-n", "k8s.io", "tasks", "ls");
    return new RegExp(`^${id}\\s+(\\d+)`, "m").exec(tasks)?.[1] ?? "";
  }

  async rolledOut(deployment: string): Promise<void> {
    await this.node.kubectl("-n", system, "rollout", "status", `deployment/${deployment}`, "--timeout=180s");
  }

  async ready(component: string, count: number): Promise<void> {
    await until(`${count} ${component} Pods are ready`, async () => {
      const selector = `app.kubernetes.io/component=${component}`;
      const text = await this.node.kubectl("-n", system, "get", "pods", "-l", selector, "--no-headers");
      const ready = text.split("\n").filter((line) => /\s1\/1\s+Running/.test(line)).length;
      if (ready < count) throw new Error(text);
    });
  }

  async stop(): Promise<void> {
    for (const child of this.#started) child.kill("SIGKILL");
    await this.node.stop();
  }
}

/** A node with the images on it, a provider in its network, and the two namespaces. */
export async function startInstallation(
  family: "ipv4" | "ipv6" = "ipv4",
  commits: readonly string[] = [],
): Promise<{ release: Installation; images: Images }> {
  await installNodePackages();
  // The node's programs are compiled while images are fetched and built.
  const [images] = await Promise.all([(await Builder.open()).build(commits), nodePrograms()]);
  const release = new Installation(await KubeNode.start(images, family), family);
  try {
    await release.startProvider();
    await release.namespace(system);
    await release.namespace("team-a");
  } catch (error) {
    await release.stop();
    throw error;
  }
  return { release, images };
}
