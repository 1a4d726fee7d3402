/**
 * `make bench`: Sluice next to a direct call, nginx, Portkey and LiteLLM, in one run, interleaved: the tested process
 * on one core, load and upstream on another. Sluice has authentication with 1,000 keys, routing, limits, budgets,
 * metrics and logs on; nginx its access log; LiteLLM its master key. `bare` is node:http and undici with nothing on, and
 * `wire` the gateway's own HTTP/1.1 without any stage, so that the share of the stages shows. Prints ratios with minimum, median and maximum,
 * and writes them with the raw figures to bench-results/.
 *
 *   --rounds N        interleaved rounds (default 5)
 *   --seconds N       of load in each (default 3)
 *   --only a,b        workloads by name, see `workloads` below
 *   --without a,b     peers: portkey, litellm
 */
import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Child, removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { ensureDebian, ensureTool, MissingTool } from "../harness/tools.ts";
import { untilReady } from "../harness/until-ready.ts";
import { type Door, Load, type Measured, type Request } from "./load.ts";
import { cores, pinned } from "./machine.ts";
import { pacedLatency } from "./paced-load.ts";
import { type Peer, startLitellm, startPortkey } from "./peers.ts";
import { clearKey, limitedKey, startNginxProxy, startSluice, startUpstream } from "./servers.ts";
import { type Spread, spread } from "./statistics.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
    without: { type: "string", default: "" },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const only = values.only.split(",").filter(Boolean);
const without = values.without.split(",");

const words = "lorem ipsum dolor sit amet ";
const chat = (model: string, text: string, more: object = {}): string =>
  JSON.stringify({
    model,
    ...more,
    temperature: 0.7,
    messages: [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: text },
    ],
  });
const short = words.repeat(30);
const images = JSON.stringify({
  model: "gpt-4o",
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "What do these have in common?" },
        ...Array.from({ length: 4 }, () => ({
          type: "image_url",
          image_url: { url: `data:image/png;base64,${Buffer.alloc(196_608, 7).toString("base64")}` },
        })),
      ],
    },
  ],
});
const completions = "/v1/chat/completions";
const plain: Request = { path: completions, body: chat("gpt-4o", short) };

const nginxBinary = await ensureDebian("nginx", "nginx");
const wrk = await ensureDebian("wrk", "wrk");
const dir = await temporaryFolder("bench");
const load = new Load(wrk, dir);
const port = {
  upstream: await freePort(),
  paced: await freePort(),
  nginx: await freePort(),
  sluice: await freePort(),
  status: await freePort(),
};
const children: Child[] = [];
const started = async (child: Promise<Child>): Promise<Child> => {
  const one = await child;
  children.push(one);
  return one;
};

await started(startUpstream(nginxBinary, dir, cores.load, port.upstream));
const [pacedCommand, pacedArgs] = pinned(cores.load, process.execPath, [
  "test/bench/paced-upstream.ts",
  String(port.paced),
  "2",
]);
await started(startChild(pacedCommand, pacedArgs, { name: "paced", logFile: `${dir}/paced.log` }));
const nginxChild = await started(
  startNginxProxy(nginxBinary, dir, cores.tested, port.nginx, port.upstream, port.paced),
);
const sluiceChild = await started(startSluice(dir, cores.tested, port.sluice, port.status, port.upstream, port.paced));

const json = { "content-type": "application/json" };
const key = { ...json, authorization: `Bearer ${clearKey}` };
const direct: Door = { name: "direct", port: port.upstream, pid: null, headers: key };
/** A proxy with nothing on, which takes any request. */
async function plainProxy(name: string, file: string): Promise<Door> {
  const ownPort = await freePort();
  const args = [file, String(ownPort), String(port.upstream), String(port.paced)];
  const child = await started(
    startChild(...pinned(cores.tested, process.execPath, args), { name, logFile: `${dir}/${name}.log` }),
  );
  const ask = { method: "POST", body: "{}" };
  await untilReady(child, async () => (await fetch(`http://127.0.0.1:${ownPort}/`, ask)).status > 0, 10_000);
  return { name, port: ownPort, pid: child.pid, headers: key };
}
const bare = await plainProxy("bare", "test/bench/bare-proxy.ts");
const wire = await plainProxy("wire", "test/bench/wire-proxy.ts");
const nginx: Door = { name: "nginx", port: port.nginx, pid: nginxChild.pid, headers: key };
const sluice: Door = { name: "sluice", port: port.sluice, pid: sluiceChild.pid, headers: key };

/** null, and a line that says why, where the machine lacks what is needed. */
async function orLeftOut<T>(what: string, get: () => Promise<T>): Promise<T | null> {
  try {
    return await get();
  } catch (cause) {
    if (!(cause instanceof MissingTool)) throw cause;
    process.stdout.write(`${what} is left out: ${cause.message}\n`);
    return null;
  }
}

async function peer(name: string, start: () => Promise<Peer>): Promise<Peer | null> {
  const one = without.includes(name) ? null : await orLeftOut(name, start);
  if (one !== null) children.push(one.child);
  return one;
}
const upstream = { port: port.upstream, pacedPort: port.paced };
const portkey = await peer("portkey", async () => startPortkey(dir, await freePort(), upstream));
const litellm = await peer("litellm", async () => startLitellm(dir, await freePort(), upstream));
const present = (...doors: (Door | null)[]): Door[] => doors.filter((door): door is Door => door !== null);

/** One door's turns, and what it is sent. */
interface Turn {
  name: string;
  door: Door;
  request: Request;
}
const turns = (doors: readonly Door[], request: Request): Turn[] =>
  doors.map((door) => ({ name: door.name, door, request }));

async function series(all: readonly Turn[], connections: number, warmUpSeconds = 2): Promise<Map<string, Measured[]>> {
  const results = new Map<string, Measured[]>(all.map(({ name }) => [name, []]));
  for (const { door, request } of all) await load.measure(door, request, connections, warmUpSeconds);
  for (let round = 0; round < rounds; round++) {
    for (const { name, door, request } of all)
      results.get(name)?.push(await load.measure(door, request, connections, seconds));
  }
  return results;
}

interface Row {
  what: string;
  spread: Spread;
  digits: number;
  unit: string;
}
const rows: Row[] = [];
const raw: Record<string, unknown> = {};

type Series = Map<string, Measured[]>;
type Figure = (one: Measured, other: Measured) => number;
const throughput: Figure = (one, other) => one.requestsPerSecond / other.requestsPerSecond;
const cpu: Figure = (one, other) => one.cpuUs / other.cpuUs;
const addedP50: Figure = (one, other) => one.p50 - other.p50;

function row(what: string, results: Series, of: string, against: string, figure: Figure, digits = 2, unit = ""): void {
  const others = results.get(against) ?? [];
  const ones = results.get(of) ?? [];
  if (ones.length === 0 || others.length === 0) return;
  rows.push({
    what: `${what}: ${of} / ${against}`,
    spread: spread(ones.map((one, index) => figure(one, others[index] ?? one))),
    digits,
    unit,
  });
}

function absolute(
  what: string,
  results: Series,
  of: string,
  figure: (one: Measured) => number,
  digits: number,
  unit: string,
): void {
  const ones = results.get(of) ?? [];
  if (ones.length > 0) rows.push({ what: `${what}: ${of}`, spread: spread(ones.map(figure)), digits, unit });
}

function compareAll(what: string, results: Series, others: readonly string[]): void {
  for (const other of others) {
    row(`${what}, throughput`, results, "sluice", other, throughput);
    if (other !== "direct") row(`${what}, CPU a request`, results, "sluice", other, cpu);
  }
}

const stream = (chunks: number): Turn[] =>
  present(nginx, bare, wire, sluice, portkey, litellm).map((door) => {
    const path = [nginx, bare, wire].includes(door) ? `/paced${completions}` : completions;
    const own = door === portkey || door === litellm ? (door as Peer) : null;
    const model = door === sluice ? "paced" : (own?.pacedModel ?? "gpt-4o");
    return {
      name: door.name,
      door,
      request: {
        path,
        body: chat(model, short, { stream: true, max_tokens: chunks }),
        headers: own?.paced ?? door.headers,
      },
    };
  });

const workloads: Record<string, () => Promise<Series>> = {
  async plain() {
    // Portkey gets twice as fast in its first 20 s.
    if (portkey) await load.measure(portkey, plain, 64, 20);
    await load.measure(sluice, plain, 64, 8);
    const results = await series(turns(present(direct, nginx, bare, wire, sluice, portkey, litellm), plain), 64);
    compareAll("1 KB, 64 connections", results, ["nginx", "bare", "portkey", "litellm"]);
    row("1 KB, 64 connections, CPU a request", results, "wire", "bare", cpu);
    row("1 KB, 64 connections, throughput", results, "bare", "nginx", throughput);
    row("1 KB, 64 connections, throughput", results, "nginx", "direct", throughput);
    absolute("1 KB, 64 connections, CPU a request", results, "sluice", (one) => one.cpuUs, 0, " us");
    return results;
  },
  async single() {
    const results = await series(turns(present(direct, nginx, bare, sluice, portkey, litellm), plain), 1);
    for (const { name } of present(nginx, bare, sluice, portkey, litellm))
      row("1 KB, 1 connection, added median latency", results, name, "direct", addedP50, 0, " us");
    return results;
  },
  async many() {
    const results = await series(turns([nginx, sluice], plain), 512);
    compareAll("1 KB, 512 connections", results, ["nginx"]);
    return results;
  },
  async half() {
    const fortio = await orLeftOut("the row at half of the peak", () => ensureTool("fortio"));
    if (fortio === null) return new Map();
    await load.measure(sluice, plain, 64, 8);
    const peak = await load.measure(sluice, plain, 64, seconds);
    const perSecond = Math.round(peak.requestsPerSecond / 2);
    const doors = [direct, nginx, bare, sluice];
    const results: Record<string, number[]> = Object.fromEntries(doors.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const door of doors)
        results[door.name]?.push((await pacedLatency(fortio, door, plain, perSecond, seconds)).p99Us);
    for (const { name } of [nginx, bare, sluice]) {
      const added = (results[name] ?? []).map((p99, index) => p99 - (results["direct"]?.[index] ?? 0));
      rows.push({
        what: `1 KB at half of Sluice's peak (${perSecond}/s), added p99: ${name} / direct`,
        spread: spread(added),
        digits: 0,
        unit: " us",
      });
    }
    raw["half"] = results;
    return new Map();
  },
  async prompt100k() {
    const results = await series(
      turns(present(nginx, sluice, portkey), { path: completions, body: chat("gpt-4o", words.repeat(3_800)) }),
      32,
    );
    compareAll("100 KB prompt", results, ["nginx", "portkey"]);
    return results;
  },
  async images1m() {
    const results = await series(turns(present(nginx, sluice, portkey), { path: completions, body: images }), 16);
    compareAll("1 MB prompt with images", results, ["nginx", "portkey"]);
    return results;
  },
  async stream50() {
    const results = await series(stream(50), 64);
    row("stream of 50 chunks at 2 ms, CPU a stream", results, "bare", "nginx", cpu);
    row("stream of 50 chunks at 2 ms, CPU a stream", results, "wire", "bare", cpu);
    for (const other of ["nginx", "bare", "portkey", "litellm"])
      row("stream of 50 chunks at 2 ms, CPU a stream", results, "sluice", other, cpu);
    absolute("stream of 50 chunks at 2 ms, CPU a stream", results, "sluice", (one) => one.cpuUs, 0, " us");
    return results;
  },
  async stream500() {
    const results = await series(stream(500), 32, 3);
    for (const other of ["nginx", "bare", "portkey", "litellm"])
      row("stream of 500 chunks at 2 ms, CPU a stream", results, "sluice", other, cpu);
    return results;
  },
  async embeddings() {
    const input = Array.from({ length: 1000 }, (_, at) => `${words} ${at}`);
    const body = JSON.stringify({ model: "embed", input, encoding_format: "base64" });
    const results = await series(
      [
        { name: "nginx", door: nginx, request: { path: "/embed/embeddings", body } },
        { name: "sluice", door: sluice, request: { path: "/v1/embeddings", body } },
      ],
      32,
    );
    compareAll("embeddings of 1,000 inputs", results, ["nginx"]);
    return results;
  },
  async translation() {
    const of = (name: string, model: string, more: object): Turn => ({
      name,
      door: sluice,
      request: { path: completions, body: chat(model, short, more) },
    });
    const results = await series(
      [
        of("passed", "gpt-4o", {}),
        of("translated", "claude", {}),
        of("passed stream", "stream", { stream: true }),
        of("translated stream", "claude-stream", { stream: true }),
      ],
      64,
    );
    row("OpenAI to Anthropic and back, throughput", results, "translated", "passed", throughput);
    row("the same, streams of 50 chunks at once", results, "translated stream", "passed stream", throughput);
    return results;
  },
  async masking() {
    const of = (name: string, model: string, text: string, more: object = {}): Turn => ({
      name,
      door: sluice,
      request: { path: completions, body: chat(model, text, more) },
    });
    const long = words.repeat(3_800);
    const planted = `${short} Write to alice@example.com or call +1 415 555 2671.`;
    const results = await series(
      [
        of("1 KB plain", "gpt-4o", planted),
        of("1 KB masked", "masked", planted),
        of("100 KB plain", "gpt-4o", `${long}${planted}`),
        of("100 KB masked", "masked", `${long}${planted}`),
        of("stream plain", "stream", planted, { stream: true }),
        of("stream masked", "masked-stream", planted, { stream: true }),
      ],
      64,
    );
    for (const what of ["1 KB", "100 KB", "stream"])
      row("masking, request and answer, throughput", results, `${what} masked`, `${what} plain`, throughput);
    return results;
  },
  async early() {
    const of = (name: string, request: Request): Turn => ({ name, door: sluice, request });
    const results = await series(
      [
        of("passed", plain),
        of("cache hit", { path: completions, body: chat("cached", short) }),
        of("401", { ...plain, headers: { ...json, authorization: "Bearer slc_wrong" }, status: 401 }),
        of("429", { ...plain, headers: { ...json, authorization: `Bearer ${limitedKey}` }, status: 429 }),
      ],
      64,
    );
    for (const name of ["cache hit", "401", "429"]) row("throughput", results, name, "passed", throughput);
    return results;
  },
};

try {
  // The one request that the limited key may make.
  await fetch(`http://127.0.0.1:${port.sluice}${completions}`, {
    method: "POST",
    headers: { ...json, authorization: `Bearer ${limitedKey}` },
    body: plain.body,
  });
  for (const [name, workload] of Object.entries(workloads)) {
    if (only.length > 0 && !only.includes(name)) continue;
    process.stderr.write(`${name} …\n`);
    const results = await workload();
    if (results.size > 0) raw[name] = Object.fromEntries(results);
  }
  const where = cores.tested === "" ? "not pinned" : "the tested process on one core, load and upstream on another";
  const head = ["min", "median", "max"].map((word) => word.padStart(10)).join("");
  const show = ({ what, spread: { min, median, max }, digits, unit }: Row): string =>
    `${what.padEnd(72)} ${[min, median, max].map((value) => (value.toFixed(digits) + unit).padStart(10)).join("")}`;
  process.stdout.write(
    `\n${rounds} interleaved rounds of ${seconds} s, ${where}\n\n${"".padEnd(72)} ${head}\n${rows.map(show).join("\n")}\n\n`,
  );
  await mkdir("bench-results", { recursive: true });
  await writeFile("bench-results/latest.json", `${JSON.stringify({ rounds, seconds, cores, rows, raw }, null, 2)}\n`);
} finally {
  await Promise.all(children.map((child) => child.end()));
  removeFolder(dir);
}
