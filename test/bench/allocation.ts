/**
 * Bytes that a proxy allocates for a call, on V8's heap and in buffers. Unlike time, it doesn't depend on what else the
 * machine does: the measured process has a young generation so large that nothing is collected meanwhile, and what it
 * has allocated is read before and after a number of calls.
 */
import { readFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { Child } from "../harness/child.ts";
import { removeFolder, startChild, temporaryFolder } from "../harness/child.ts";
import { freePort } from "../harness/free-port.ts";
import { until } from "../harness/until.ts";
import { untilReady } from "../harness/until-ready.ts";
import { answer, clearKey, startSluice } from "./servers.ts";
import { streamFrames } from "./stream-frames.ts";

const noCollection = ["--min-semi-space-size=256", "--max-semi-space-size=256"];
const probe = ["--import", "./test/bench/memory-probe.ts"];
/** Arguments of Node for a process that can be asked for readings. */
export const withProbe = [...noCollection, ...probe];

/** Enough for V8 to have compiled what is hot. */
const warmUpCalls = 6_000;
const measuredCalls = 1_000;
const connections = 16;

/** What a process has used since its start, in bytes and microseconds. */
export interface Reading {
  heapUsed: number;
  arrayBuffers: number;
  collections: number;
  cpuUs: number;
}

const response = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`;

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Each chunk in a turn of its own. */
function sendStream(socket: Socket): void {
  socket.write(streamHead, "latin1");
  let index = 0;
  const next = (): void => {
    const frame = streamFrames[index++];
    if (frame === undefined) socket.write("0\r\n\r\n");
    else {
      socket.write(`${frame.length.toString(16)}\r\n${frame}\r\n`);
      setImmediate(next);
    }
  };
  next();
}

/** Answers every request at once. Requests are small, so each arrives in one piece. */
export async function startAnswering(): Promise<{ server: Server; port: number }> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (request) => {
      if (request.includes('"stream":true')) sendStream(socket);
      else socket.write(response, "latin1");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** Makes calls, a few at a time. */
export async function repeatCalls(port: number, count: number, isStream = false): Promise<void> {
  const body = JSON.stringify({
    model: "gpt-4o",
    ...(isStream ? { stream: true, stream_options: { include_usage: true } } : {}),
    temperature: 0.7,
    messages: [{ role: "user", content: "lorem ipsum dolor sit amet ".repeat(30) }],
  });
  const request = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${clearKey}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  let left = count;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      while (left-- > 0) {
        socket.write(request);
        await answered(socket, isStream ? "0\r\n\r\n" : answer.slice(-20));
      }
      socket.destroy();
    }),
  );
}

function answered(socket: Socket, end: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.removeAllListeners("error").once("error", reject);
    let text = "";
    const take = (bytes: Buffer): void => {
      text += bytes.toString("latin1");
      if (!text.startsWith("HTTP/1.1 200")) reject(new Error(`the call failed: ${text.slice(0, 200)}`));
      if (!text.endsWith(end)) return;
      socket.off("data", take);
      resolve();
    };
    socket.on("data", take);
  });
}

/** `reading`: how many were taken before. */
export async function readingOf(child: Child, logFile: string, reading: number): Promise<Reading> {
  process.kill(child.pid, "SIGUSR2");
  return until("the memory is printed", async () => {
    const lines = (await readFile(logFile, "utf8")).split("\n").filter((line) => line.startsWith("memory "));
    const line = lines[reading];
    if (line === undefined) throw new Error(`${lines.length} readings`);
    return JSON.parse(line.slice("memory ".length)) as Reading;
  });
}

export interface Allocation {
  heapBytes: number;
  bufferBytes: number;
}

async function measure(child: Child, logFile: string, port: number): Promise<Allocation> {
  await repeatCalls(port, warmUpCalls);
  // A collection may fall in between, of the old generation for instance: then measure again.
  for (let reading = 0; ; reading += 2) {
    const before = await readingOf(child, logFile, reading);
    await repeatCalls(port, measuredCalls);
    const after = await readingOf(child, logFile, reading + 1);
    if (after.collections > before.collections && reading < 10) continue;
    return {
      heapBytes: (after.heapUsed - before.heapUsed) / measuredCalls,
      bufferBytes: (after.arrayBuffers - before.arrayBuffers) / measuredCalls,
    };
  }
}

/** Sluice with everything on, as the bench measures it, or the bare proxy. */
export async function allocationOf(what: "sluice" | "bare"): Promise<Allocation> {
  const dir = await temporaryFolder("allocation");
  const provider = await startAnswering();
  const port = await freePort();
  try {
    const child =
      what === "sluice"
        ? await startSluice(dir, "", port, await freePort(), provider.port, provider.port, withProbe)
        : await startChild(
            process.execPath,
            [...withProbe, "test/bench/bare-proxy.ts", String(port), String(provider.port)],
            {
              name: "bare",
              logFile: join(dir, "bare.log"),
            },
          );
    try {
      await untilReady(
        child,
        async () => (await fetch(`http://127.0.0.1:${port}/`, { method: "POST" })).status > 0,
        30_000,
      );
      return await measure(child, join(dir, `${what}.log`), port);
    } finally {
      await child.end();
    }
  } finally {
    provider.server.close();
    removeFolder(dir);
  }
}

if (import.meta.main) {
  const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} KB`;
  for (const what of ["bare", "sluice"] as const) {
    const { heapBytes, bufferBytes } = await allocationOf(what);
    process.stdout.write(
      `allocated a call, 1 KB: ${what}: ${kilobytes(heapBytes)} on the heap, ${kilobytes(bufferBytes)} in buffers\n`,
    );
  }
}
