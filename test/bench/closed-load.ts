/** A number of requests from a few callers, each of which asks again as soon as it has its answer. */
import { connect, type Socket } from "node:net";

export interface ClosedLoad {
  port: number;
  path: string;
  headers: Readonly<Record<string, string>>;
  body: string;
  requests: number;
  callers: number;
}

export interface ClosedResult {
  requestsPerSecond: number;
  p50Us: number;
  p99Us: number;
}

/** Whether an answer is complete: as long as it announced, or with its last chunk. */
function isComplete(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
  return length === undefined ? text.endsWith("0\r\n\r\n") : text.length >= end + 4 + Number(length);
}

function ask(socket: Socket, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = "";
    const failed = (): void => reject(new Error("the connection was closed"));
    const take = (bytes: Buffer): void => {
      text += bytes.toString("latin1");
      if (!isComplete(text)) return;
      socket.off("data", take).off("close", failed);
      if (text.startsWith("HTTP/1.1 200")) resolve();
      else reject(new Error(text.slice(0, 400)));
    };
    socket.on("data", take).once("close", failed);
    socket.write(request);
  });
}

export async function closedLoad({ port, path, headers, body, requests, callers }: ClosedLoad): Promise<ClosedResult> {
  const fields = Object.entries({ host: "127.0.0.1", ...headers, "content-length": String(Buffer.byteLength(body)) });
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const request = `POST ${path} HTTP/1.1\r\n${head}\r\n${body}`;
  const latencies: number[] = [];
  let left = requests;
  const beganMs = performance.now();
  const caller = async (): Promise<void> => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    socket.on("error", () => undefined);
    while (left-- > 0) {
      const askedMs = performance.now();
      await ask(socket, request);
      latencies.push(performance.now() - askedMs);
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const seconds = (performance.now() - beganMs) / 1000;
  latencies.sort((a, b) => a - b);
  const quantile = (share: number): number =>
    Math.round((latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? Number.NaN) * 1000);
  return { requestsPerSecond: requests / seconds, p50Us: quantile(0.5), p99Us: quantile(0.99) };
}
