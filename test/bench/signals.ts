/**
 * What traces and metrics cost. Three proxies, without traces and with 10 % and 100 % of calls traced, at 1 KB in one
 * run, interleaved: throughput, and processor time of a call. Then the time of a scrape with 10,000 series. Part of
 * `make bench`.
 *
 *   --rounds N    interleaved rounds (default 5)
 *   --seconds N   of load in each (default 3)
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { newRecord } from "../../proxy/call/record.ts";
import { parseProxySettings } from "../../proxy/settings.ts";
import { callMetricsOptions } from "../../proxy/signal-settings.ts";
import { createMetrics } from "../../proxy/telemetry/metrics.ts";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { ensureDebian } from "../harness/tools.ts";
import { type Door, Load, type Measured } from "./load.ts";
import { cores } from "./machine.ts";
import { benchObject, clearKey, startProxy, startUpstream, writeConfig } from "./servers.ts";
import { spread } from "./statistics.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } },
});

const show = (what: string, figures: readonly number[], digits: number, unit = ""): void => {
  const { min, median, max } = spread(figures);
  const [low, middle, high] = [min, median, max].map((value) => `${value.toFixed(digits)}${unit}`);
  process.stdout.write(`${what}: min ${low}, median ${middle}, max ${high}\n`);
};

async function scrapes(series: number): Promise<void> {
  const options = callMetricsOptions(parseProxySettings(["--metrics-labels=user", "--metrics-max-callers=100000"], {}));
  const nothing = { size: () => ({ entries: 0, bytes: 0 }) };
  const routing = { breakers: () => [], health: () => ({ healthy: null, reason: null }) };
  const metrics = createMetrics(routing, { store: nothing, vectors: nothing }, () => 0, options);
  const usage = { prompt: 20, cachedPrompt: 0, cacheWrite: 0, completion: 150, reasoning: 0, estimated: false };
  let lines = 0;
  for (let user = 0; lines < series; user++) {
    const call = { ...newRecord("id", "POST", 0), provider: "bench/up", model: "gpt-4o", route: "bench/chat", usage };
    metrics.record({ ...call, operation: "openai.chat", user: `user-${user}@example.com`, costNanoUsd: 97_500 });
    if (user % 100 === 0)
      lines = (await metrics.registry.metrics()).split("\n").filter((line) => !line.startsWith("#")).length;
  }
  const took: number[] = [];
  for (let round = 0; round < 20; round++) {
    const began = performance.now();
    await metrics.registry.metrics();
    took.push(performance.now() - began);
  }
  show(`a scrape with ${lines} series`, took, 1, " ms");
}

const nginx = await ensureDebian("nginx", "nginx");
const load = await ensureDebian("wrk", "wrk");
const dir = await temporaryFolder("bench-signals");
const upstreamPort = await freePort();
const config = join(dir, "config");
await writeConfig(
  config,
  [
    benchObject("LLMProvider", "up", {
      type: "OpenAI",
      endpoint: `http://127.0.0.1:${upstreamPort}/v1`,
      allowPrivateEndpoint: true,
      credentials: { secretRef: { name: "up" } },
      models: [
        { name: "gpt-4o", upstream: "gpt-4o-2024-08-06", price: { inputPerMillion: "2.5", outputPerMillion: "10" } },
      ],
    }),
    benchObject("RoutingPolicy", "chat", {
      match: { models: ["gpt-4o"] },
      routing: { targets: [{ provider: { name: "up" } }] },
    }),
    benchObject("ApiKey", "key-0", { user: "alice", team: "red", writeTo: { name: "key-0" } }),
  ],
  { up: "sk-bench", "key-0": clearKey },
);
const children = [await startUpstream(nginx, dir, cores.load, upstreamPort)];
const headers = { "Content-Type": "application/json", Authorization: `Bearer ${clearKey}` };
const body = JSON.stringify({
  model: "gpt-4o",
  max_tokens: 200,
  messages: [{ role: "user", content: "lorem ipsum dolor sit amet ".repeat(30) }],
});
const doors: Door[] = [];
for (const ratio of [null, "0.1", "1"]) {
  const port = await freePort();
  // The upstream takes spans as well: it answers 200 to anything.
  const flags = ratio === null ? [] : [`--otlp-url=http://127.0.0.1:${upstreamPort}`, `--trace-ratio=${ratio}`];
  const child = await startProxy(dir, cores.tested, config, port, await freePort(), [], flags);
  children.push(child);
  doors.push({ name: ratio === null ? "no traces" : `traced ${Number(ratio) * 100} %`, port, pid: child.pid, headers });
}
try {
  const wrk = new Load(load, dir);
  const measure = (door: Door, seconds: number): Promise<Measured> =>
    wrk.measure(door, { path: "/v1/chat/completions", body }, 64, seconds);
  for (const door of doors) await measure(door, 3);
  const results = new Map<string, Measured[]>(doors.map(({ name }) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const door of doors) results.get(door.name)?.push(await measure(door, Number(values.seconds)));
  const [plain = []] = results.values();
  for (const [name, measured] of results) {
    show(
      `${name}, requests a second`,
      measured.map(({ requestsPerSecond }) => requestsPerSecond),
      0,
    );
    show(
      `${name}, processor time of a request`,
      measured.map(({ cpuUs }) => cpuUs),
      1,
      " us",
    );
    const shares = measured.map(({ cpuUs }, round) => (cpuUs / (plain[round]?.cpuUs ?? cpuUs) - 1) * 100);
    if (measured !== plain) show(`${name}, more processor time than without`, shares, 1, " %");
  }
} finally {
  await Promise.all(children.map((child) => child.end()));
  removeFolder(dir);
}
await scrapes(10_000);
