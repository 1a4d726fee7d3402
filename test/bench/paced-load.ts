/**
 * Requests at a fixed rate, whatever the answers do: latency counts from the moment at which a request was due, so
 * that a stall is seen by all who would have met it. Run as a program it is the load; imported, it starts itself on
 * the load's core.
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { run } from "../harness/command.ts";
import type { Door, Request } from "./load.ts";
import { cores, pinned } from "./machine.ts";

export interface PacedResult {
  p50Us: number;
  p99Us: number;
}

/** Answers' latencies in microseconds. */
export async function pacedLatency(door: Door, { path, body, headers = door.headers }: Request, perSecond: number, seconds: number): Promise<PacedResult> {
  const order = JSON.stringify({ port: door.port, path, body, headers, perSecond, seconds });
  const done = await run(...pinned(cores.load, process.execPath, [import.meta.filename, order]));
  if (done.code !== 0) throw new Error(`paced load failed: ${done.stderr}`);
  return JSON.parse(done.stdout) as PacedResult;
}

interface Order {
  port: number;
  path: string;
  body: string;
  headers: Record<string, string>;
  perSecond: number;
  seconds: number;
}

/** One connection. Bytes made beforehand and answers read no further than needed: the load must not be the bottleneck. */
class Line {
  readonly #socket: Socket;
  #head = "";
  #missing = 0;
  #dueMs = 0;
  #done: (latencyUs: number) => void = () => undefined;
  #failed: (cause: Error) => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (cause) => this.#failed(cause));
  }

  send(bytes: Buffer, dueMs: number, done: (latencyUs: number) => void, failed: (cause: Error) => void): void {
    this.#dueMs = dueMs;
    this.#done = done;
    this.#failed = failed;
    this.#socket.write(bytes);
  }

  #read(chunk: Buffer): void {
    if (this.#missing > 0) this.#missing -= chunk.length;
    else {
      this.#head += chunk.toString("latin1");
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!this.#head.startsWith("HTTP/1.1 200")) {
        this.#failed(new Error(this.#head.slice(0, 200)));
        return;
      }
      const length = Number(/content-length: (\d+)/i.exec(this.#head)?.[1] ?? Number.NaN);
      this.#missing = length - (this.#head.length - end - 4);
      this.#head = "";
    }
    if (this.#missing === 0) this.#done((performance.now() - this.#dueMs) * 1000);
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function play({ port, path, body, headers, perSecond, seconds }: Order): Promise<PacedResult> {
  const lines = Object.entries({ host: "127.0.0.1", ...headers, "content-length": Buffer.byteLength(body) }).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  const all: Line[] = [];
  const idle: Line[] = [];
  const latencies: number[] = [];
  const total = perSecond * seconds;
  const everyMs = 1000 / perSecond;
  const beganMs = performance.now();
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    const send = (dueMs: number): void => {
      let line = idle.pop();
      if (line === undefined) all.push((line = new Line(port)));
      const done = (latencyUs: number): void => {
        latencies.push(latencyUs);
        idle.push(line as Line);
        if (latencies.length === total) resolve();
      };
      line.send(bytes, dueMs, done, reject);
    };
    // Not in a busy loop, which would take the upstream's core from it.
    const tick = setInterval(() => {
      const due = Math.min(total, Math.floor((performance.now() - beganMs) / everyMs));
      for (; sent < due; sent++) send(beganMs + sent * everyMs);
      if (sent === total) clearInterval(tick);
    }, 1);
  });
  for (const line of all) line.close();
  // The first second makes connections and warms the caller up.
  const counted = latencies.slice(perSecond).sort((a, b) => a - b);
  const at = (share: number): number => Math.round(counted[Math.floor(counted.length * share)] ?? 0);
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

const [, file, order] = process.argv;
if (file === import.meta.filename && order !== undefined) {
  process.stdout.write(JSON.stringify(await play(JSON.parse(order) as Order)));
}
