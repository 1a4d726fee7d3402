/**
 * `make profile`: where one proxy's processor time goes under a load, by file and by function, from V8's sampling
 * profiler. The profile is kept in bench-results/ for a browser's developer tools or speedscope.
 *
 *   --workload plain|stream|translated   (default plain)
 *   --seconds N                          (default 10)
 *   --top N                              lines of each table (default 30)
 *   --heap                               what allocates instead, by V8's sampling heap profiler
 */
import { mkdir, readdir, readFile, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { ensureDebian } from "../harness/tools.ts";
import { type Door, Load, type Request } from "./load.ts";
import { cores, pinned } from "./machine.ts";
import { clearKey, startSluice, startUpstream } from "./servers.ts";

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "plain" },
    seconds: { type: "string", default: "10" },
    top: { type: "string", default: "30" },
    heap: { type: "boolean", default: false },
  },
});

const path = "/v1/chat/completions";
const messages = [{ role: "user", content: "lorem ipsum dolor sit amet ".repeat(30) }];
const workloads: Record<string, Request> = {
  plain: { path, body: JSON.stringify({ model: "gpt-4o", temperature: 0.7, messages }) },
  translated: { path, body: JSON.stringify({ model: "claude", temperature: 0.7, messages }) },
  stream: { path, body: JSON.stringify({ model: "paced", stream: true, max_tokens: 50, messages }) },
};
const request = workloads[values.workload];
if (request === undefined) throw new Error(`--workload is one of ${Object.keys(workloads).join(", ")}`);

const dir = await temporaryFolder("profile");
const port = { upstream: await freePort(), paced: await freePort(), sluice: await freePort(), status: await freePort() };
const upstream = await startUpstream(await ensureDebian("nginx", "nginx"), dir, cores.load, port.upstream);
const paced = await startChild(...pinned(cores.load, process.execPath, ["test/bench/paced-upstream.ts", String(port.paced), "2"]), {
  name: "paced",
  logFile: join(dir, "paced.log"),
});
const flags = values.heap
  ? ["--heap-prof", "--heap-prof-interval=16384", `--heap-prof-dir=${dir}`]
  : ["--cpu-prof", "--cpu-prof-interval=200", `--cpu-prof-dir=${dir}`];
const sluice = await startSluice(dir, cores.tested, port.sluice, port.status, port.upstream, port.paced, flags);
const load = new Load(await ensureDebian("wrk", "wrk"), dir);
const door: Door = {
  name: "sluice",
  port: port.sluice,
  pid: sluice.pid,
  headers: { "content-type": "application/json", authorization: `Bearer ${clearKey}` },
};
const result = await load.measure(door, request, 64, Number(values.seconds));
await sluice.end("SIGTERM");
await Promise.all([upstream.end(), paced.end()]);

interface Frame {
  functionName: string;
  url: string;
  lineNumber: number;
}
interface CpuProfile {
  nodes: { id: number; callFrame: Frame }[];
  samples: number[];
  timeDeltas: number[];
}
interface HeapNode {
  callFrame: Frame;
  selfSize: number;
  children: HeapNode[];
}

const short = (url: string): string =>
  url
    .replace(/^file:\/\//, "")
    .replace(`${process.cwd()}/`, "")
    .replace(/^node_modules\//, "");
const fileOf = ({ url, functionName }: Frame): string => (url === "" ? functionName : short(url));

function* weights(text: string): Generator<[Frame, number]> {
  if (values.heap) {
    const pending = [(JSON.parse(text) as { head: HeapNode }).head];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      yield [node.callFrame, node.selfSize];
      pending.push(...node.children);
    }
    return;
  }
  const profile = JSON.parse(text) as CpuProfile;
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  for (const [at, sample] of profile.samples.entries()) {
    const frame = frames.get(sample);
    if (frame && frame.functionName !== "(idle)") yield [frame, profile.timeDeltas[at] ?? 0];
  }
}

function table(title: string, sums: Map<string, number>, total: number): void {
  process.stdout.write(`\n${title}\n`);
  const sorted = [...sums].sort((a, b) => b[1] - a[1]).slice(0, Number(values.top));
  for (const [name, sum] of sorted) process.stdout.write(`  ${((sum / total) * 100).toFixed(1).padStart(5)} %  ${name}\n`);
}

const suffix = values.heap ? ".heapprofile" : ".cpuprofile";
const file = (await readdir(dir)).find((name) => name.endsWith(suffix));
if (file === undefined) throw new Error(`no profile was written\n${sluice.tail()}`);
await mkdir("bench-results", { recursive: true });
const kept = join("bench-results", `${values.workload}${suffix}`);
await rename(join(dir, file), kept).catch(async () => (await import("node:fs/promises")).copyFile(join(dir, file), kept));
const byFile = new Map<string, number>();
const byFunction = new Map<string, number>();
let total = 0;
for (const [frame, weight] of weights(await readFile(kept, "utf8"))) {
  total += weight;
  const name = `${frame.functionName || "(anonymous)"} ${basename(short(frame.url))}:${frame.lineNumber + 1}`;
  byFile.set(fileOf(frame), (byFile.get(fileOf(frame)) ?? 0) + weight);
  byFunction.set(name, (byFunction.get(name) ?? 0) + weight);
}
process.stdout.write(`${Math.round(result.requestsPerSecond)} requests/s, ${result.cpuUs.toFixed(0)} us of processor time each; ${kept}\n`);
table(values.heap ? "allocated and still held, by file" : "by file", byFile, total);
table("by function", byFunction, total);
removeFolder(dir);
