/**
 * How long a change takes from `kubectl apply` to being live on every proxy: a real API server, the operator and three
 * proxies as processes of this machine, volumes kept as kubelet keeps them, refreshed only when the operator nudges. By the
 * clock, kubectl's own time included. Part of `make bench`.
 *
 *   --rounds N    changes (default 100)
 *   --keys N      ApiKeys that are there besides (default 0); each takes some 50 ms to make
 */
import { parseArgs } from "node:util";
import { startCluster } from "../harness/cluster.ts";
import { keyedProvider } from "../harness/cluster-objects.ts";
import { MissingTool } from "../harness/tools.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "100" }, keys: { type: "string", default: "0" } },
});
const rounds = Number(values.rounds);
const keys = Number(values.keys);
const lookEveryMs = 25;
const lostAfterMs = 60_000;
const keysAtATime = 500;

const base = keyedProvider("up", "https://llm.example.com/v1", "[{ name: small }]");
const policy = (round: number): string => `
apiVersion: sluice.dev/v1alpha1
kind: RoutingPolicy
metadata: { name: chat, namespace: team-a }
spec:
  match: { models: [small, small-${round}] }
  routing: { targets: [{ provider: { name: up }, model: small }] }
`;
const key = (at: number): string => `
apiVersion: sluice.dev/v1alpha1
kind: ApiKey
metadata: { name: key-${at}, namespace: team-a }
spec: { user: user-${at}@example.com, writeTo: { name: key-${at} } }
`;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;

async function measure(): Promise<void> {
  const cluster = await startCluster({ proxies: 3 });
  try {
    await cluster.namespace("team-a");
    await cluster.startOperator();
    const revisions = async (): Promise<(string | null)[]> =>
      Promise.all(
        cluster.proxies.map((proxy) =>
          proxy.status().then(
            ({ revision }) => revision,
            () => null,
          ),
        ),
      );
    /** Waits until all proxies serve one revision, and that another one than before. */
    const live = async (before: string | null): Promise<string> => {
      const beganMs = performance.now();
      for (;;) {
        const [first, ...others] = await revisions();
        if (typeof first === "string" && first !== before && others.every((other) => other === first)) return first;
        if (performance.now() - beganMs > lostAfterMs)
          throw new Error(`not live on all proxies after ${lostAfterMs / 1000} s`);
        await pause(lookEveryMs);
      }
    };
    let revision = await live(null);
    await cluster.apply(`${base}---${policy(0)}`);
    revision = await live(revision);
    for (let made = 0; made < keys; made += keysAtATime) {
      await cluster.apply(
        Array.from({ length: Math.min(keysAtATime, keys - made) }, (_, one) => key(made + one)).join("---"),
      );
    }
    // What comes late of the keys must not pass for the first change.
    for (let last = ""; last !== revision; await pause(keys === 0 ? 0 : 10_000))
      [last, revision] = [revision, await live(null)];
    const tookMs: { all: number; after: number }[] = [];
    for (let round = 1; round <= rounds; round++) {
      const beganMs = performance.now();
      await cluster.apply(policy(round));
      const appliedMs = performance.now();
      revision = await live(revision);
      tookMs.push({ all: performance.now() - beganMs, after: performance.now() - appliedMs });
    }
    const row = (name: string, ms: number[]): void => {
      const sorted = ms.sort((a, b) => a - b);
      const cells = [0.5, 0.9, 0.99, 1].map((share) => `${at(sorted, share).toFixed(0)} ms`.padStart(10));
      process.stdout.write(`${name.padEnd(52)}${cells.join("")}\n`);
    };
    process.stdout.write(`${rounds} changes of a policy, 3 proxies, ${keys} keys${" ".repeat(20)}\n`);
    process.stdout.write(`${"".padEnd(52)}${["p50", "p90", "p99", "max"].map((name) => name.padStart(10)).join("")}\n`);
    row(
      "from the start of kubectl apply to live everywhere",
      tookMs.map(({ all }) => all),
    );
    row(
      "from its end",
      tookMs.map(({ after }) => after),
    );
  } finally {
    await cluster.stop();
  }
}

try {
  await measure();
} catch (cause) {
  if (!(cause instanceof MissingTool)) throw cause;
  process.stdout.write(`not measured: ${cause.message}\n`);
}
