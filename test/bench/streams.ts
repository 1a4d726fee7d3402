/**
 * Many concurrent streams in one proxy process for a while, over two providers, one of which dies in the middle.
 * Nothing may hang: each stream ends as it should, or with an error event. Prints memory for 1,000 streams, and what
 * is left of it when all of them are gone. `test/bench/streams.ts [--streams 5000] [--seconds 60]`
 */
import { Agent, type ClientRequest, request as httpRequest } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Child, removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { until } from "../harness/until.ts";
import { untilReady } from "../harness/until-ready.ts";
import { benchObject, clearKey, startProxy, writeConfig } from "./servers.ts";

export interface StreamsOptions {
  streams: number;
  seconds: number;
  /** Mean length of a stream. */
  streamSeconds: number;
}

export interface Memory {
  residentBytes: number;
  heapBytes: number;
  openFiles: number;
}

export interface StreamsResult {
  /** Ended with [DONE]. */
  complete: number;
  /** Ended with an error event in the stream. */
  broken: number;
  /** Another status than 200. */
  refused: number;
  /** The connection broke, or the stream ended without either. */
  cut: number;
  /** No byte for longer than any limit allows. */
  hung: number;
  /** Most streams at once, as the proxy counts them. */
  most: number;
  before: Memory;
  full: Memory;
  after: Memory;
  /** After a second round of the same, with no provider dying: a leak would add to what the first one left. */
  again: Memory;
}

/** A frame comes each second. */
const silenceMs = 30_000;
const messages = [{ role: "user", content: "lorem ipsum dolor sit amet ".repeat(30) }];
const headers = { authorization: `Bearer ${clearKey}`, "content-type": "application/json" };

type Outcome = "complete" | "broken" | "refused" | "cut" | "hung";

function stream(port: number, agent: Agent, body: string): Promise<Outcome> {
  return new Promise((resolve) => {
    let tail = "";
    let call: ClientRequest | null = null;
    const watch = setTimeout(() => settle("hung"), silenceMs);
    const settle = (outcome: Outcome): void => {
      clearTimeout(watch);
      resolve(outcome);
      if (outcome === "hung") call?.destroy();
    };
    call = httpRequest(
      { host: "127.0.0.1", port, path: "/v1/chat/completions", method: "POST", headers, agent },
      (response) => {
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          watch.refresh();
          tail = (tail + text).slice(-400);
        });
        response.on("end", () => {
          if (response.statusCode !== 200) settle("refused");
          else if (tail.endsWith("data: [DONE]\n\n")) settle("complete");
          else settle(tail.includes('"code":"upstream_') ? "broken" : "cut");
        });
        response.on("error", () => settle("cut"));
      },
    );
    call.on("error", () => settle("cut"));
    call.end(body);
  });
}

async function memoryOf(statusUrl: string): Promise<Memory> {
  const text = await (await fetch(`${statusUrl}/metrics`)).text();
  const figure = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  return {
    residentBytes: figure("process_resident_memory_bytes"),
    heapBytes: figure("nodejs_heap_size_used_bytes"),
    openFiles: figure("process_open_fds"),
  };
}

async function inFlight(statusUrl: string): Promise<number> {
  const status = (await (await fetch(`${statusUrl}/status`)).json()) as { inFlight: number };
  return status.inFlight;
}

/** The proxy collects its garbage on request: what waits for its collector is not what is asked about. */
const collecting = ["--expose-gc", "--import", "data:text/javascript,process.on('SIGUSR2',()=>gc())"];

/** Once idle connections are closed and garbage is collected. */
async function settled(proxy: Child, statusUrl: string, mostFiles: number): Promise<Memory> {
  await until(
    "idle connections are closed",
    async () => {
      const { openFiles } = await memoryOf(statusUrl);
      if (openFiles > mostFiles) throw new Error(`${openFiles} files are open`);
    },
    120_000,
    1_000,
  );
  for (let at = 0; at < 3; at++) {
    process.kill(proxy.pid, "SIGUSR2");
    await sleep(1_000);
  }
  return memoryOf(statusUrl);
}

const manifests = (ports: { first: number; second: number }) => [
  ...(["first", "second"] as const).map((name) =>
    benchObject("LLMProvider", name, {
      type: "OpenAICompatible",
      endpoint: `http://127.0.0.1:${ports[name]}/v1`,
      allowPrivateEndpoint: true,
      models: [{ name: "gpt-4o" }],
    }),
  ),
  benchObject("RoutingPolicy", "chat", {
    match: { models: ["gpt-4o"] },
    routing: { strategy: "RoundRobin", targets: [{ provider: { name: "first" } }, { provider: { name: "second" } }] },
  }),
  benchObject("ApiKey", "key", { user: "bench", writeTo: { name: "key" } }),
];

/** The load: as many streams at once for as long, then whatever is still open to its end. */
async function load(
  options: StreamsOptions,
  port: number,
  halfway: () => Promise<void>,
): Promise<Record<Outcome, number>> {
  const counts: Record<Outcome, number> = { complete: 0, broken: 0, refused: 0, cut: 0, hung: 0 };
  const body = JSON.stringify({ model: "gpt-4o", stream: true, messages, max_tokens: options.streamSeconds });
  const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });
  const endMs = performance.now() + options.seconds * 1000;
  const worker = async (at: number): Promise<void> => {
    // Not all in one moment: 5,000 connections at once are a test of the listen queue.
    await sleep((at / options.streams) * Math.min(5_000, options.seconds * 250));
    while (performance.now() < endMs) counts[await stream(port, agent, body)]++;
  };
  const middle = sleep(options.seconds * 500).then(halfway);
  await Promise.all([...Array.from({ length: options.streams }, (_, at) => worker(at)), middle]);
  agent.destroy();
  return counts;
}

export async function runStreams(options: StreamsOptions): Promise<StreamsResult> {
  const dir = await temporaryFolder("streams");
  const ports = {
    first: await freePort(),
    second: await freePort(),
    traffic: await freePort(),
    status: await freePort(),
  };
  const upstream = async (name: "first" | "second") => {
    const args = ["test/bench/streaming-upstream.ts", String(ports[name])];
    const child = await startChild(process.execPath, args, { name, logFile: join(dir, `${name}.log`) });
    await untilReady(
      child,
      async () => (await fetch(`http://127.0.0.1:${ports[name]}/`, { method: "HEAD" })).ok,
      10_000,
    );
    return child;
  };
  let first = await upstream("first");
  const second = await upstream("second");
  const folder = join(dir, "config");
  await writeConfig(folder, manifests(ports), { key: clearKey });
  const proxy = await startProxy(dir, "", folder, ports.traffic, ports.status, collecting);
  const statusUrl = `http://127.0.0.1:${ports.status}`;
  try {
    // Code that has run before, so that only the streams differ.
    await load(
      { ...options, streams: Math.min(200, options.streams), seconds: 1, streamSeconds: 1 },
      ports.traffic,
      async () => undefined,
    );
    const before = await settled(proxy, statusUrl, 60);
    let most = 0;
    let full = before;
    const counts = await load(options, ports.traffic, async () => {
      most = await inFlight(statusUrl);
      full = await memoryOf(statusUrl);
      await first.end("SIGKILL");
    });
    await until("the proxy has nothing under way", async () => {
      if ((await inFlight(statusUrl)) !== 0) throw new Error("calls are still under way");
    });
    const after = await settled(proxy, statusUrl, before.openFiles + 20);
    first = await upstream("first");
    const more = await load(options, ports.traffic, async () => undefined);
    for (const outcome of ["complete", "broken", "refused", "cut", "hung"] as const) counts[outcome] += more[outcome];
    return { ...counts, most, before, full, after, again: await settled(proxy, statusUrl, before.openFiles + 20) };
  } finally {
    await Promise.all([first.end(), second.end(), proxy.end()]);
    removeFolder(dir);
  }
}

const mebibytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;

function print(options: StreamsOptions, result: StreamsResult): void {
  const { before, full, after, again, most } = result;
  const line = (name: string, figure: (memory: Memory) => string): void =>
    console.log(
      `  ${name.padEnd(11)} ${figure(before)} before, ${figure(full)} full, ${figure(after)} after, ${figure(again)} after a second round`,
    );
  console.log(`${most} streams at once for ${options.seconds} s in one process; one of two providers killed halfway`);
  console.log(
    `  complete ${result.complete}, ended by an error event ${result.broken}, refused ${result.refused}, cut ${result.cut}, hung ${result.hung}`,
  );
  line("heap:", (memory) => mebibytes(memory.heapBytes));
  line("resident:", (memory) => mebibytes(memory.residentBytes));
  line("open files:", (memory) => String(memory.openFiles));
  console.log(
    `  resident memory for 1,000 streams: ${mebibytes(((full.residentBytes - before.residentBytes) / most) * 1000)}`,
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { streams: { type: "string", default: "5000" }, seconds: { type: "string", default: "60" } },
  });
  const options = { streams: Number(values.streams), seconds: Number(values.seconds), streamSeconds: 20 };
  const result = await runStreams(options);
  print(options, result);
  if (result.hung + result.cut > 0) process.exitCode = 1;
}
