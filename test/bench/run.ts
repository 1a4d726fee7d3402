/**
 * `make bench`: Sluice beside nginx `proxy_pass` and a direct call, in one run, interleaved, the tested process on
 * one core and load and upstream on another. Sluice's row has authentication, routing, metrics and logs on.
 * Prints ratios with minimum, median and maximum, and writes them to bench-results/.
 *
 *   --rounds N    interleaved rounds (default 5)
 *   --seconds N   of load in each (default 3)
 */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeFolder, temporaryFolder } from "../harness/child.ts";
import { run } from "../harness/command.ts";
import { freePort } from "../harness/free-port.ts";
import { ensureDebian } from "../harness/tools.ts";
import { clearKey, pinned, startNginxProxy, startSluice, startUpstream } from "./servers.ts";
import { parseWrk, type Spread, spread, type WrkResult } from "./statistics.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } } });
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const cores = cpus().length > 1 ? { tested: "0", load: "1" } : { tested: "", load: "" };

const prompt = (model: string, stream: boolean): string =>
  JSON.stringify({
    model,
    ...(stream ? { stream } : {}),
    temperature: 0.7,
    messages: [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: "lorem ipsum dolor sit amet ".repeat(30) },
    ],
  });

const script = (body: string): string => `wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer ${clearKey}"
wrk.body = [==[${body}]==]
`;

interface Target {
  name: string;
  port: number;
  /** What is posted. */
  lua: string;
}

const nginx = await ensureDebian("nginx", "nginx");
const wrk = await ensureDebian("wrk", "wrk");
const dir = await temporaryFolder("bench");

async function measure(target: Target, connections: number, forSeconds: number): Promise<WrkResult> {
  const args = ["-t1", `-c${connections}`, `-d${forSeconds}s`, "--latency", "-s", target.lua, `http://127.0.0.1:${target.port}/v1/chat/completions`];
  const done = await run(...pinned(cores.load, wrk, args), {});
  if (done.code !== 0) throw new Error(`wrk failed: ${done.stderr}`);
  const result = parseWrk(done.stdout);
  if (result.failures > 0) throw new Error(`${target.name}: ${result.failures} failed requests at ${connections} connections\n${done.stdout}`);
  return result;
}

async function series(targets: readonly Target[], connections: number): Promise<Map<string, WrkResult[]>> {
  const results = new Map<string, WrkResult[]>(targets.map((target) => [target.name, []]));
  for (const target of targets) await measure(target, connections, 2);
  for (let round = 0; round < rounds; round++) {
    for (const target of targets) results.get(target.name)?.push(await measure(target, connections, seconds));
  }
  return results;
}

function compare(results: Map<string, WrkResult[]>, of: string, against: string, figure: (one: WrkResult, other: WrkResult) => number): Spread {
  const others = results.get(against) ?? [];
  return spread((results.get(of) ?? []).map((one, at) => figure(one, others[at] ?? one)));
}

const show = (text: string, { min, median, max }: Spread, digits: number, unit = ""): string =>
  `${text.padEnd(64)} ${[min, median, max].map((value) => (value.toFixed(digits) + unit).padStart(10)).join("")}`;

const ports = { upstream: await freePort(), nginx: await freePort(), sluice: await freePort(), status: await freePort() };
const lua = async (model: string, stream: boolean): Promise<string> => {
  const file = join(dir, `${model}.lua`);
  await writeFile(file, script(prompt(model, stream)));
  return file;
};
const plain = await lua("gpt-4o", false);
const children = [
  await startUpstream(nginx, dir, cores.load, ports.upstream),
  await startNginxProxy(nginx, dir, cores.tested, ports.nginx, ports.upstream),
  await startSluice(dir, cores.tested, ports.sluice, ports.status, ports.upstream),
];
const targets: Target[] = [
  { name: "direct", port: ports.upstream, lua: plain },
  { name: "nginx", port: ports.nginx, lua: plain },
  { name: "sluice", port: ports.sluice, lua: plain },
];
/** OpenAI's format in; passed through, and translated to Anthropic's and back. */
const translating: Target[] = [
  { name: "passed", port: ports.sluice, lua: plain },
  { name: "translated", port: ports.sluice, lua: await lua("claude", false) },
  { name: "passed stream", port: ports.sluice, lua: await lua("stream", true) },
  { name: "translated stream", port: ports.sluice, lua: await lua("claude-stream", true) },
];
try {
  const busy = await series(targets, 64);
  const single = await series(targets, 1);
  const formats = await series(translating, 64);
  const throughput = (one: WrkResult, other: WrkResult): number => one.requestsPerSecond / other.requestsPerSecond;
  const rows = {
    throughputToNginx: compare(busy, "sluice", "nginx", (one, other) => one.requestsPerSecond / other.requestsPerSecond),
    nginxToDirect: compare(busy, "nginx", "direct", (one, other) => one.requestsPerSecond / other.requestsPerSecond),
    addedMedianUs: compare(single, "sluice", "direct", (one, other) => one.p50 - other.p50),
    translatedToPassed: compare(formats, "translated", "passed", throughput),
    translatedStreamToPassed: compare(formats, "translated stream", "passed stream", throughput),
    nginxAddedMedianUs: compare(single, "nginx", "direct", (one, other) => one.p50 - other.p50),
  };
  const where = cores.tested === "" ? "not pinned" : "the tested process on one core, load and upstream on another";
  process.stdout.write(
    `\n${rounds} interleaved rounds of ${seconds} s, 0.9 KB answers, ${where}\n\n${"".padEnd(64)} ${["min", "median", "max"].map((word) => word.padStart(10)).join("")}\n`,
  );
  const lines = [
    show("throughput at 64 connections: sluice / nginx", rows.throughputToNginx, 2),
    show("throughput at 64 connections: nginx / direct", rows.nginxToDirect, 2),
    show("added median latency at 1 connection: sluice over direct", rows.addedMedianUs, 0, " us"),
    show("throughput at 64 connections: OpenAI to Anthropic / passed through", rows.translatedToPassed, 2),
    show("the same, streams of 50 chunks", rows.translatedStreamToPassed, 2),
    show("added median latency at 1 connection: nginx over direct", rows.nginxAddedMedianUs, 0, " us"),
  ];
  process.stdout.write(`${lines.join("\n")}\n\n`);
  await mkdir("bench-results", { recursive: true });
  const raw = { throughput: Object.fromEntries(busy), latency: Object.fromEntries(single), formats: Object.fromEntries(formats) };
  await writeFile("bench-results/latest.json", `${JSON.stringify({ rounds, seconds, cores, ratios: rows, raw }, null, 2)}\n`);
} finally {
  await Promise.all(children.map((child) => child.end()));
  removeFolder(dir);
}
