/**
 * `make profile`: where one proxy's processor time goes under a load, by layer, by file and by function, from V8's sampling
 * profiler. The profile is kept in bench-results/ for a browser's developer tools or speedscope.
 *
 *   --workload plain|stream|translated   (default plain)
 *   --seconds N                          (default 10)
 *   --top N                              lines of each table (default 30)
 *   --bare                               the bare proxy instead, which Sluice stands on
 *   --heap                               what allocates instead, by V8's sampling heap profiler
 */
import { copyFile, mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { ensureDebian } from "../harness/tools.ts";
import { untilReady } from "../harness/until-ready.ts";
import { type Door, Load, type Request } from "./load.ts";
import { cores, pinned } from "./machine.ts";
import { cpuProfile, heapProfile, type Sums } from "./profiles.ts";
import { clearKey, startSluice, startUpstream } from "./servers.ts";

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "plain" },
    seconds: { type: "string", default: "10" },
    top: { type: "string", default: "30" },
    bare: { type: "boolean", default: false },
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
const workload = workloads[values.workload];
if (workload === undefined) throw new Error(`--workload is one of ${Object.keys(workloads).join(", ")}`);
const request = values.bare && values.workload === "stream" ? { ...workload, path: `/paced${path}` } : workload;

const dir = await temporaryFolder("profile");
const port = {
  upstream: await freePort(),
  paced: await freePort(),
  tested: await freePort(),
  status: await freePort(),
};
const upstream = await startUpstream(await ensureDebian("nginx", "nginx"), dir, cores.load, port.upstream);
const paced = await startChild(
  ...pinned(cores.load, process.execPath, ["test/bench/paced-upstream.ts", String(port.paced), "2"]),
  {
    name: "paced",
    logFile: join(dir, "paced.log"),
  },
);
const flags = values.heap
  ? ["--heap-prof", "--heap-prof-interval=16384", `--heap-prof-dir=${dir}`]
  : ["--cpu-prof", "--cpu-prof-interval=200", `--cpu-prof-dir=${dir}`];
const bareArgs = [...flags, "test/bench/bare-proxy.ts", String(port.tested), String(port.upstream), String(port.paced)];
const tested = values.bare
  ? await startChild(...pinned(cores.tested, process.execPath, bareArgs), {
      name: "bare",
      logFile: join(dir, "bare.log"),
    })
  : await startSluice(dir, cores.tested, port.tested, port.status, port.upstream, port.paced, flags);
if (values.bare)
  await untilReady(
    tested,
    async () => (await fetch(`http://127.0.0.1:${port.tested}/`, { method: "POST" })).status > 0,
    10_000,
  );
const load = new Load(await ensureDebian("wrk", "wrk"), dir);
const door: Door = {
  name: values.bare ? "bare" : "sluice",
  port: port.tested,
  pid: tested.pid,
  headers: { "content-type": "application/json", authorization: `Bearer ${clearKey}` },
};
// Beyond what is compiled and connected in the first seconds.
await load.measure(door, request, 64, 3);
const began = monotonicUs();
const result = await load.measure(door, request, 64, Number(values.seconds));
const ended = monotonicUs();
await tested.end("SIGTERM");
await Promise.all([upstream.end(), paced.end()]);

/** The clock of V8's profiles. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function table(title: string, sums: Sums, total: number): string {
  const sorted = [...sums].sort((a, b) => b[1] - a[1]).slice(0, Number(values.top));
  const line = ([name, sum]: [string, number]): string => {
    const share = sum / total;
    const each = values.heap ? "" : `${(share * result.cpuUs).toFixed(1).padStart(7)} us`;
    return `  ${(share * 100).toFixed(1).padStart(5)} %${each}  ${name}\n`;
  };
  return `\n${title}\n${sorted.map(line).join("")}`;
}

const suffix = values.heap ? ".heapprofile" : ".cpuprofile";
const file = (await readdir(dir)).find((name) => name.endsWith(suffix));
if (file === undefined) throw new Error(`no profile was written\n${tested.tail()}`);
await mkdir("bench-results", { recursive: true });
const kept = join("bench-results", `${values.bare ? "bare-" : ""}${values.workload}${suffix}`);
await copyFile(join(dir, file), kept);
const text = await readFile(kept, "utf8");
const { total, byFile, byFunction, byLayer, within } = values.heap
  ? heapProfile(text)
  : cpuProfile(text, { from: began, to: ended });
const us = (value: number): string => value.toFixed(0);
const head = `${us(result.requestsPerSecond)} requests/s, ${us(result.cpuUs)} us of processor time each, ${us(result.kernelUs)} of it in the kernel; ${kept}\n`;
const what = values.heap ? "allocated and still held, " : "";
process.stdout.write(
  head +
    table(`${what}by layer`, byLayer, total) +
    table(`${what}by file`, byFile, total) +
    table(`${what}by function`, byFunction, total) +
    table(`${what}by function, with what it calls`, within, total),
);
removeFolder(dir);
