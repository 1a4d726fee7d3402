/**
 * Chat completions, Responses and messages, whole and streamed, against a provider that answers at once: 8,000 requests
 * of 10 callers for each workload and gateway, in two random orders; the median of both is printed. Another gateway's
 * public benchmark has the same six workloads, so that its table can be read next to this: part of `make bench`.
 *
 *   --requests N    for each workload (default 8000)
 *   --without a,b   peers: portkey
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Child, removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { MissingTool } from "../harness/missing-tool.ts";
import { untilReady } from "../harness/until-ready.ts";
import { type ClosedResult, closedLoad } from "./closed-load.ts";
import { cores, pinned } from "./machine.ts";
import { startPortkey } from "./peers.ts";
import { benchObject, clearKey, startProxy, writeConfig } from "./servers.ts";

const { values } = parseArgs({
  options: { requests: { type: "string", default: "8000" }, without: { type: "string", default: "" } },
});
const requests = Number(values.requests);
const callers = 10;
const orders = 2;

const prompt = "lorem ipsum dolor sit amet ".repeat(10);
const messages = [{ role: "user", content: prompt }];
const kinds = {
  chat: { path: "/v1/chat/completions", body: { model: "gpt-4o", messages } },
  responses: { path: "/v1/responses", body: { model: "gpt-4o", input: prompt } },
  messages: { path: "/v1/messages", body: { model: "claude", max_tokens: 100, messages } },
} as const;
const workloads = Object.entries(kinds).flatMap(([name, { path, body }]) => [
  { name, path, body: JSON.stringify(body) },
  { name: `${name}, stream`, path, body: JSON.stringify({ ...body, stream: true }) },
]);

interface Gateway {
  name: string;
  port: number;
  headers: Readonly<Record<string, string>>;
  /** Where Anthropic's API needs others. */
  forMessages?: Readonly<Record<string, string>>;
}

const json = { "content-type": "application/json", "anthropic-version": "2023-06-01" };
const dir = await temporaryFolder("six-workloads");
const children: Child[] = [];

async function node(name: string, port: number, file: string, ...args: string[]): Promise<void> {
  const [command, all] = pinned(name === "upstream" ? cores.load : cores.tested, process.execPath, [file, ...args]);
  const child = await startChild(command, all, { name, logFile: join(dir, `${name}.log`) });
  children.push(child);
  await untilReady(
    child,
    async () => (await fetch(`http://127.0.0.1:${port}/`, { method: "POST" })).status > 0,
    10_000,
  );
}

const upstream = await freePort();
await node("upstream", upstream, "test/bench/instant-upstream.ts", String(upstream));

async function sluice(): Promise<Gateway> {
  const port = await freePort();
  const provider = (name: string, type: string, path: string, model: string) =>
    benchObject("LLMProvider", name, {
      type,
      endpoint: `http://127.0.0.1:${upstream}${path}`,
      allowPrivateEndpoint: true,
      credentials: { secretRef: { name: "up" } },
      models: [{ name: model }],
    });
  const policy = (name: string, model: string) =>
    benchObject("RoutingPolicy", name, { match: { models: [model] }, routing: { targets: [{ provider: { name } }] } });
  const objects = [
    provider("openai", "OpenAI", "/v1", "gpt-4o"),
    provider("anthropic", "Anthropic", "", "claude"),
    policy("openai", "gpt-4o"),
    policy("anthropic", "claude"),
    benchObject("ApiKey", "key", { user: "key", writeTo: { name: "key" } }),
  ];
  await writeConfig(join(dir, "config"), objects, { up: "sk-bench", key: clearKey });
  children.push(await startProxy(dir, cores.tested, join(dir, "config"), port, await freePort()));
  return { name: "sluice", port, headers: { ...json, authorization: `Bearer ${clearKey}` } };
}

async function bare(): Promise<Gateway> {
  const port = await freePort();
  await node("bare", port, "test/bench/bare-proxy.ts", String(port), String(upstream), String(upstream));
  return { name: "bare", port, headers: json };
}

async function portkey(): Promise<Gateway[]> {
  if (values.without.split(",").includes("portkey")) return [];
  try {
    const peer = await startPortkey(dir, await freePort(), { port: upstream, pacedPort: upstream });
    children.push(peer.child);
    const forMessages = { "x-portkey-provider": "anthropic" };
    return [{ name: "portkey", port: peer.port, headers: { ...json, ...peer.headers }, forMessages }];
  } catch (cause) {
    if (!(cause instanceof MissingTool)) throw cause;
    process.stdout.write(`portkey is left out: ${cause.message}\n`);
    return [];
  }
}

function failed(name: string, cause: unknown): null {
  process.stderr.write(`${name}: ${String(cause).slice(0, 300)}\n`);
  return null;
}

const median = (sorted: readonly number[]): number => {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
};

/** Fisher and Yates. */
function shuffled<T>(all: readonly T[]): T[] {
  const out = [...all];
  for (let last = out.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [out[last], out[other]] = [out[other] as T, out[last] as T];
  }
  return out;
}

try {
  const gateways: Gateway[] = [
    { name: "direct", port: upstream, headers: json },
    await bare(),
    await sluice(),
    ...(await portkey()),
  ];
  const turns = gateways.flatMap((gateway) => workloads.map((workload) => ({ gateway, workload })));
  const results = new Map<string, (ClosedResult | null)[]>();
  for (let order = 0; order < orders; order++) {
    for (const { gateway, workload } of shuffled(turns)) {
      const { path, body } = workload;
      const { port } = gateway;
      const headers = { ...gateway.headers, ...(path === kinds.messages.path ? gateway.forMessages : {}) };
      const load = { port, path, headers, body, callers };
      const name = `${workload.name}: ${gateway.name}`;
      // A peer may lack an API.
      const warmed = { ...load, requests: Math.min(500, requests) };
      const result = await closedLoad(warmed).then(
        () => closedLoad({ ...load, requests }),
        (cause: unknown) => failed(name, cause),
      );
      results.set(name, [...(results.get(name) ?? []), result]);
    }
  }
  process.stdout.write(
    `\n${requests} requests of ${callers} callers at once, median of ${orders} random orders\n${"".padEnd(30)}${["requests/s", "p50 us", "p99 us"].map((word) => word.padStart(12)).join("")}\n`,
  );
  for (const { workload, gateway } of turns.sort(
    (a, b) => workloads.indexOf(a.workload) - workloads.indexOf(b.workload),
  )) {
    const name = `${workload.name}: ${gateway.name}`;
    const measured = (results.get(name) ?? []).filter((result) => result !== null);
    const figure = (of: (result: ClosedResult) => number): string =>
      (measured.length === 0 ? "–" : median(measured.map(of).sort((a, b) => a - b)).toFixed(0)).padStart(12);
    process.stdout.write(
      `${name.padEnd(30)}${figure((result) => result.requestsPerSecond)}${figure((result) => result.p50Us)}${figure((result) => result.p99Us)}\n`,
    );
  }
} finally {
  await Promise.all(children.map((child) => child.end()));
  removeFolder(dir);
}
