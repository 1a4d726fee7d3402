/**
 * Memory of streams that are open and quiet, in Sluice and in the bare proxy: `node test/bench/open-streams.ts [--streams
 * 1000,10000]`, part of `make streams`. Each has sent its first chunk, and garbage was collected before the reading.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Child, removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { untilReady } from "../harness/until-ready.ts";
import { policy, provider } from "./call-cost.ts";
import { benchObject, clearKey, startProxy, writeConfig } from "./servers.ts";

const { values } = parseArgs({ options: { streams: { type: "string", default: "1000,10000" } } });
/** Each stream takes two of the proxy's open files, which the machine limits. */
const mostFiles = Number(/Max open files +(\d+)/.exec(await readFile("/proc/self/limits", "utf8"))?.[1] ?? 1024);
const maxStreams = Math.floor((mostFiles - 200) / 2);
const counts = values.streams.split(",").map((count) => Math.min(Number(count), maxStreams));
/** Opened at once. */
const batch = 100;
const collecting = ["--expose-gc", "--import", "data:text/javascript,process.on('SIGUSR2',()=>gc())"];

const body = JSON.stringify({
  model: "gpt-4o",
  stream: true,
  messages: [{ role: "user", content: "lorem ".repeat(160) }],
});
const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${clearKey}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

async function opened(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  // For the errors that come when it is no longer waited for.
  socket.on("error", () => undefined);
  socket.write(request);
  const [bytes] = (await once(socket, "data")) as [Buffer];
  if (!bytes.toString("latin1").startsWith("HTTP/1.1 200")) throw new Error(bytes.toString("latin1"));
  return socket;
}

async function residentBytes({ pid }: Child): Promise<number> {
  process.kill(pid, "SIGUSR2");
  await sleep(1_000);
  process.kill(pid, "SIGUSR2");
  await sleep(1_000);
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) * 1_024;
}

/** Bytes for each stream. */
async function measure(child: Child, port: number, count: number): Promise<number> {
  const sockets: Socket[] = [];
  // Code that has run before, so that only the streams differ.
  for (let index = 0; index < batch; index++) (await opened(port)).destroy();
  const before = await residentBytes(child);
  try {
    while (sockets.length < count)
      sockets.push(
        ...(await Promise.all(Array.from({ length: Math.min(batch, count - sockets.length) }, () => opened(port)))),
      );
    return ((await residentBytes(child)) - before) / count;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

const dir = await temporaryFolder("open-streams");
const children: Child[] = [];

async function node(name: string, port: number, args: string[]): Promise<Child> {
  const child = await startChild(process.execPath, args, { name, logFile: join(dir, `${name}.log`) });
  children.push(child);
  await untilReady(
    child,
    async () => (await fetch(`http://127.0.0.1:${port}/`, { method: "POST" })).status > 0,
    10_000,
  );
  return child;
}

try {
  const upstream = await freePort();
  await node("upstream", upstream, ["test/bench/instant-upstream.ts", String(upstream), "--holds"]);
  const folder = join(dir, "config");
  const objects = [
    provider("up-0", upstream),
    policy("chat", ["gpt-4o"], {}),
    benchObject("ApiKey", "key", { user: "key", writeTo: { name: "key" } }),
  ];
  await writeConfig(folder, objects, { up: "sk-bench", key: clearKey });
  for (const count of counts) {
    const ports = { sluice: await freePort(), bare: await freePort() };
    const sluice = await startProxy(dir, "", folder, ports.sluice, await freePort(), collecting);
    children.push(sluice);
    const bareArgs = ["test/bench/bare-proxy.ts", ...[ports.bare, upstream, upstream].map(String)];
    const bare = await node("bare", ports.bare, [...collecting, ...bareArgs]);
    for (const [name, child, port] of [
      ["sluice", sluice, ports.sluice],
      ["bare", bare, ports.bare],
    ] as const) {
      const bytes = await measure(child, port, count);
      const mebibytes = ((bytes * 1_000) / 1_048_576).toFixed(1);
      process.stdout.write(`${count} open streams: ${name}: ${mebibytes} MiB for 1,000 of them\n`);
      await child.end();
    }
  }
} finally {
  await Promise.all(children.map((child) => child.end()));
  removeFolder(dir);
}
