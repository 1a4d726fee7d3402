/**
 * What a large installation costs a real API server and how long a revocation takes in it: at rest, during a sync of many
 * objects, and after the leader was killed. Two proxies and two operators as processes of this machine. By the clock, so
 * look at the load as well.
 *
 *   --keys N        ApiKeys (default 20000)
 *   --policies N    RoutingPolicies (default 1000)
 *   --budgets N     Budgets (default 500)
 *   --sync N        ApiKeys that a sync changes (default 5000; at most as many as there are)
 *   --samples N     revocations in each state (default 30)
 */
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { CoreV1Api, CustomObjectsApi, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { PooledKubeConfig } from "../../operator/cluster/kube-config.ts";
import { type Cluster, type OperatorProcess, startCluster } from "../harness/cluster.ts";
import { keyedProvider } from "../harness/cluster-objects.ts";
import { run } from "../harness/command.ts";
import { type Revocation, Revoker } from "./revocation-times.ts";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "20000" },
    policies: { type: "string", default: "1000" },
    budgets: { type: "string", default: "500" },
    sync: { type: "string", default: "5000" },
    samples: { type: "string", default: "30" },
  },
});
const [keys, policies, budgets, sync, samples] = [
  values.keys,
  values.policies,
  values.budgets,
  values.sync,
  values.samples,
].map(Number) as [number, number, number, number, number];
if (!(sync <= keys)) throw new Error("--sync takes at most as many as --keys");
const namespaces = 100;
const providers = 50;
const atATime = 24;
const group = { group: "sluice.dev", version: "v1alpha1" };
const namespaceOf = (at: number): string => `team-${at % namespaces}`;
const asMerge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const print = (line: string): void =>
  void process.stdout.write(
    `${line}   [load ${loadavg()[0]?.toFixed(1)}, ${new Date().toISOString().slice(11, 19)}]\n`,
  );
const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
function spread(ms: readonly number[]): string {
  const sorted = [...ms].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return `p50 ${seconds(at(0.5))}, p99 ${seconds(at(0.99))}, max ${seconds(at(1))} (${sorted.length})`;
}

const spreads = (all: readonly Revocation[]): string =>
  `${spread(all.map(({ tookMs }) => tookMs))}; of that, the API server took ${spread(all.map(({ acceptedMs }) => acceptedMs))}`;

async function each(count: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: atATime }, async () => {
      for (let at = next++; at < count; at = next++) await work(at);
    }),
  );
}

const memory = ({ pid }: OperatorProcess): string => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const of = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024);
  return `${of("VmRSS")} MB, at most ${of("VmHWM")} MB (${of("RssFile")} MB of it mapped from files, as the code of Node)`;
};

interface Audited {
  verb: string;
  objectRef?: { resource?: string; subresource?: string };
  requestReceivedTimestamp: string;
}

class Bench {
  readonly cluster: Cluster;
  readonly #auditLog: string;
  readonly #custom: CustomObjectsApi;
  readonly #core: CoreV1Api;
  readonly #revoker: Revoker;
  #nextKey = 0;

  constructor(cluster: Cluster, auditLog: string) {
    this.cluster = cluster;
    this.#auditLog = auditLog;
    const config = new PooledKubeConfig(120_000);
    config.loadFromFile(cluster.apiServer.adminKubeconfigPath);
    this.#custom = config.makeApiClient(CustomObjectsApi);
    this.#core = config.makeApiClient(CoreV1Api);
    this.#revoker = new Revoker({
      kubeconfig: cluster.apiServer.adminKubeconfigPath,
      proxies: cluster.proxies.map(({ url }) => url),
    });
  }

  async fill(): Promise<void> {
    await each(namespaces, (at) => this.#core.createNamespace({ body: { metadata: { name: namespaceOf(at) } } }));
    await this.cluster.apply(
      Array.from({ length: providers }, (_, at) =>
        keyedProvider(`up-${at}`, "https://llm.example.com/v1", "[{ name: small }]").replaceAll(
          "namespace: team-a",
          `namespace: ${namespaceOf(at)}`,
        ),
      ).join("---\n"),
    );
    const create = (kind: string, plural: string, at: number, spec: object): Promise<unknown> => {
      const namespace = namespaceOf(at);
      const metadata = { name: `${kind.toLowerCase()}-${at}`, namespace };
      const body = { apiVersion: "sluice.dev/v1alpha1", kind, metadata, spec };
      return this.#custom.createNamespacedCustomObject({ ...group, namespace, plural, body });
    };
    await each(policies, (at) =>
      create("RoutingPolicy", "routingpolicies", at, {
        match: { models: [`model-${at}`] },
        routing: { targets: [{ provider: { name: `up-${at % providers}` }, model: "small" }] },
      }),
    );
    await each(budgets, (at) =>
      create("Budget", "budgets", at, { amount: "100", period: "Daily", scope: { teams: [`group-${at}`] } }),
    );
    await each(keys, (at) =>
      create("ApiKey", "apikeys", at, {
        user: `user-${at}@example.com`,
        team: `group-${at % budgets}`,
        writeTo: { name: `apikey-${at}` },
      }),
    );
  }

  patch(at: number, spec: object): Promise<unknown> {
    const [namespace, name] = [namespaceOf(at), `apikey-${at}`];
    return this.#custom.patchNamespacedCustomObject(
      { ...group, namespace, plural: "apikeys", name, body: { spec } },
      asMerge,
    );
  }

  async #credential(at: number): Promise<string> {
    const secret = await this.#core.readNamespacedSecret({ namespace: namespaceOf(at), name: `apikey-${at}` });
    return Buffer.from(secret.data?.["apiKey"] ?? "", "base64").toString();
  }

  async #until(credential: string, status: number): Promise<number> {
    const asks = this.cluster.proxies.map(async ({ url }) => {
      for (;;) {
        const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${credential}` } });
        await response.arrayBuffer();
        if (response.status === status) return performance.now();
        await pause(10);
      }
    });
    return Math.max(...(await Promise.all(asks)));
  }

  revoke(): Promise<Revocation> {
    const at = this.#nextKey++;
    return this.#revoker.revoke({ namespace: namespaceOf(at), name: `apikey-${at}` });
  }

  stop(): Promise<void> {
    return this.#revoker.stop();
  }

  /** The last key to be made is live. */
  async live(at: number): Promise<void> {
    for (;;) {
      const credential = await this.#credential(at).catch(() => "");
      if (credential !== "") {
        await this.#until(credential, 200);
        return;
      }
      await pause(200);
    }
  }

  /** What the operator asked of the API server since then, by verb and resource. */
  async asked(sinceMs: number): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const line of (await readFile(this.#auditLog, "utf8")).split("\n")) {
      if (line === "") continue;
      const { verb, objectRef = {}, requestReceivedTimestamp } = JSON.parse(line) as Audited;
      if (Date.parse(requestReceivedTimestamp) < sinceMs) continue;
      const name = `${verb} ${[objectRef.resource, objectRef.subresource].filter(Boolean).join("/")}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return counts;
  }

  /** Nothing is written any more, and a standby has read all Secrets. */
  async quiet(): Promise<void> {
    for (let last = -1; ; ) {
      const counts = await this.asked(Date.now() - 5_000);
      const busy = [...counts].reduce(
        (sum, [name, count]) => sum + (/^(patch|create)|^get secrets/.test(name) ? count : 0),
        0,
      );
      if (busy < 15 && last >= 0 && last < 15) return;
      last = busy;
      await pause(5_000);
    }
  }
}

const inWords = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");

async function auditArgs(folder: string): Promise<{ args: string[]; log: string }> {
  const policy = join(folder, "audit.yaml");
  const user = "system:serviceaccount:sluice-system:sluice-operator";
  const rules = [{ level: "Metadata", users: [user] }, { level: "None" }];
  await writeFile(
    policy,
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived", "ResponseStarted"],
      rules,
    }),
  );
  const log = join(folder, "audit.log");
  return { args: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`], log };
}

async function measure(bench: Bench): Promise<void> {
  const { cluster } = bench;
  const leader = await cluster.startOperator();
  const [beganMs, filledFromMs] = [performance.now(), Date.now()];
  await bench.fill();
  print(`${keys} keys, ${policies} policies, ${budgets} budgets created in ${seconds(performance.now() - beganMs)}`);
  await bench.live(keys - 1);
  print(`the last key is live ${seconds(performance.now() - beganMs)} after the first object was created`);
  await bench.quiet();
  print(`statuses are written ${seconds(performance.now() - beganMs)} after; operator ${memory(leader)}`);
  const statuses = (await bench.asked(filledFromMs)).get("patch apikeys/status") ?? 0;
  print(`${(statuses / keys).toFixed(2)} statuses were written for each key`);

  const idleMs = 30_000;
  const sinceMs = Date.now();
  await pause(idleMs);
  const idle = await bench.asked(sinceMs);
  const total = [...idle.values()].reduce((sum, count) => sum + count, 0);
  print(
    `at rest: ${((total * 1000) / idleMs).toFixed(2)} requests a second (${inWords(idle)}); operator ${memory(leader)}`,
  );

  const resting: Revocation[] = [];
  for (let at = 0; at < samples; at++) resting.push(await bench.revoke());
  print(`revocations at rest: ${spreads(resting)}`);

  let over = false;
  const syncing = each(sync, (at) => bench.patch(keys - 1 - at, { tags: ["synced"] })).finally(() => {
    over = true;
  });
  const during: Revocation[] = [];
  while (!over || during.length < samples) during.push(await bench.revoke());
  await syncing;
  print(`revocations during a sync of ${sync} keys: ${spreads(during)}; operator ${memory(leader)}`);
  await bench.quiet();

  const standby = await cluster.startOperator();
  await pause(10_000);
  await bench.quiet();
  const killedMs = Date.now();
  await leader.end("SIGKILL");
  const atOnce = await bench.revoke();
  print(`leader killed: a revocation right then took ${seconds(atOnce.tookMs)}`);
  const leads = async (): Promise<boolean> =>
    /^sluice_operator_leader 1$/m.test(await (await fetch(`${standby.statusUrl}/metrics`)).text());
  const after: Revocation[] = [];
  for (let at = 0; at < samples; at++) after.push(await bench.revoke());
  print(`revocations until another operator leads: ${spreads(after)}`);
  while (!(await leads())) await pause(200);
  const later: Revocation[] = [];
  for (let at = 0; at < samples; at++) later.push(await bench.revoke());
  print(`revocations after a change of leader: ${spreads(later)}`);
  await bench.quiet();
  print(`the new leader asked for ${inWords(await bench.asked(killedMs))}; operator ${memory(standby)}`);
  const lines = cluster
    .logs()
    .split("\n")
    .filter((line) => line.includes("leadership") || line.includes('"published"'));
  const timed = lines.map((line) => JSON.parse(line) as { time: string; msg: string; leading?: boolean });
  const led = timed.findLast(({ leading }) => leading === true)?.time ?? "";
  const published = timed.find(({ msg, time }) => msg === "published" && time > led)?.time ?? "";
  print(
    `new leader: elected ${seconds(Date.parse(led) - killedMs)} after the kill, published ${seconds(Date.parse(published) - Date.parse(led))} later`,
  );
}

const folder = await mkdtemp(join(tmpdir(), "sluice-large-"));
const { args, log } = await auditArgs(folder);
const bundled = await run(process.execPath, [join(import.meta.dirname, "../../cli/bundle.ts"), join(folder, "app")]);
if (bundled.code !== 0) throw new Error(`bundle.ts ended with ${bundled.code}: ${bundled.stderr}`);
// As in the image: the code of both takes less memory there.
const main = join(folder, "app/main.mjs");
const cluster = await startCluster({ proxies: 2, apiServer: { apiServerArgs: args }, main });
const bench = new Bench(cluster, log);
try {
  await measure(bench);
} finally {
  await bench.stop();
  await cluster.stop();
  await rm(folder, { recursive: true });
}
