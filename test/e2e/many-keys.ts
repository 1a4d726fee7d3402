/**
 * How long a change takes on a real node until two proxies serve it, in an installation with many keys. Needs root. By the
 * clock, so run it on a quiet machine.
 *
 *   --keys N      ApiKeys (default 4000)
 *   --rounds N    changes of each sort (default 20)
 */
import assert from "node:assert/strict";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { until } from "../harness/until.ts";
import { type Installation, startInstallation, system } from "./installation.ts";
import { liveTimes, quantile } from "./live-time.ts";

const { values } = parseArgs({
  options: { keys: { type: "string", default: "4000" }, rounds: { type: "string", default: "20" } },
});
const [keys, rounds] = [Number(values.keys), Number(values.rounds)];
const atOnce = 1_000;

const print = (what: string, figure: string): void =>
  void process.stdout.write(`${what.padEnd(60)}  ${figure}   [load ${loadavg()[0]?.toFixed(1)}]\n`);

const keyOf = (index: number): object => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "ApiKey",
  metadata: { name: `user-${index}`, namespace: "team-a" },
  spec: { user: `user-${index}@example.com`, team: "a", writeTo: { name: `user-${index}-key` } },
});

async function create({ node }: Installation, from: number, count: number): Promise<void> {
  const items = Array.from({ length: count }, (_, index) => keyOf(from + index));
  const input = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  await node.mustWith({ input }, "kubectl", "create", "-f", "-");
}

async function settled({ node }: Installation): Promise<void> {
  await until(
    "every key is live",
    async () => {
      const path = 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Programmed")].status}{"\\n"}{end}';
      const states = (await node.kubectl("get", "apikeys", "-n", "team-a", "-o", path)).split("\n");
      assert.equal(states.filter((state) => state === "True").length, keys + 1);
    },
    1_200_000,
    2_000,
  );
}

async function measure(release: Installation): Promise<void> {
  const { node } = release;
  await release.helm("install", "operator.privateEndpointNamespaces={team-a}");
  await release.applyTenant();
  const began = performance.now();
  for (let from = 0; from < keys; from += atOnce) await create(release, from, Math.min(atOnce, keys - from));
  print(`${keys} keys created, s`, ((performance.now() - began) / 1000).toFixed(0));
  await settled(release);
  print("all of them live, and their statuses written, s", ((performance.now() - began) / 1000).toFixed(0));
  const patch = (object: string, spec: object): Promise<string> =>
    node.kubectl("-n", "team-a", "patch", object, "--type=merge", "-p", JSON.stringify({ spec }));
  for (const [what, change] of [
    [
      "a policy is changed",
      (round: number) => patch("routingpolicy/chat", { request: { defaults: { max_tokens: 100 + round } } }),
    ],
    ["a key is changed", (round: number) => patch(`apikey/user-${round}`, { tags: ["changed"] })],
    ["a key is created", (round: number) => create(release, keys + round, 1)],
    ["a key is revoked", (round: number) => patch(`apikey/user-${rounds + round}`, { revoked: true })],
  ] as const) {
    const took = await liveTimes(release, rounds, change);
    print(`${what}, until every proxy has the config, ms: p50, p99`, `${quantile(took, 0.5)}, ${quantile(took, 0.99)}`);
  }
  for (const component of ["operator", "proxy"]) {
    const [pod] = await release.pods(component);
    const status = await node.must("cat", `/proc/${await release.processOf(pod?.name ?? "")}/status`);
    print(
      `resident memory of the first ${component} in ${system}, MiB`,
      String(Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024)),
    );
  }
}

const { release } = await startInstallation();
try {
  await measure(release);
} finally {
  await release.stop();
}
