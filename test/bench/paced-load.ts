/**
 * Requests at a fixed rate, whatever the answers do: latency counts from the moment at which a request was due, so
 * that a stall is seen by all who would have met it. Run as a program it is the load; imported, it starts itself on
 * the load's core.
 */
import { Agent, request } from "node:http";
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

async function play(order: Order): Promise<PacedResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: 256, scheduling: "lifo" });
  const latencies: number[] = [];
  const total = order.perSecond * order.seconds;
  const everyMs = 1000 / order.perSecond;
  const options = {
    host: "127.0.0.1",
    port: order.port,
    path: order.path,
    method: "POST",
    agent,
    headers: { ...order.headers, "content-length": Buffer.byteLength(order.body) },
  };
  const send = (dueMs: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const call = request(options, (response) => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`));
        response.resume();
        response.on("end", () => {
          latencies.push((performance.now() - dueMs) * 1000);
          resolve();
        });
      });
      call.on("error", reject);
      call.end(order.body);
    });
  const under: Promise<void>[] = [];
  const beganMs = performance.now();
  await new Promise<void>((resolve) => {
    let sent = 0;
    const tick = (): void => {
      const due = Math.min(total, Math.floor((performance.now() - beganMs) / everyMs));
      for (; sent < due; sent++) under.push(send(beganMs + sent * everyMs));
      if (sent < total) setImmediate(tick);
      else resolve();
    };
    tick();
  });
  await Promise.all(under);
  agent.destroy();
  // The first second makes connections and warms the caller up.
  const counted = latencies.slice(order.perSecond).sort((a, b) => a - b);
  const at = (share: number): number => Math.round(counted[Math.floor(counted.length * share)] ?? 0);
  return { p50Us: at(0.5), p99Us: at(0.99) };
}

const [, file, order] = process.argv;
if (file === import.meta.filename && order !== undefined) {
  process.stdout.write(JSON.stringify(await play(JSON.parse(order) as Order)));
}
