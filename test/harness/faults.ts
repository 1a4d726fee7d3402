/** Providers that fail on the wire in one way each, below what node:http would let a server do. */

import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { chatFrames, usage } from "./upstream.ts";

export interface Faulty {
  url: string;
  /** Requests that arrived whole, or connections where none ever does. */
  count(): number;
  close(): Promise<void>;
}

/** What happens to a connection that sent a whole request. */
export type Fault = (socket: Socket, stream: boolean) => void | Promise<void>;

const message = { role: "assistant", content: "Hello there", refusal: null };
export const answer = JSON.stringify({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-4o",
  choices: [{ index: 0, message, logprobs: null, finish_reason: "stop" }],
  usage,
});
export const frames = chatFrames("gpt-4o", ["Hello", " there"], true);

export const head = (status: string, headers: Record<string, string | number>): string =>
  `HTTP/1.1 ${status}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("")}\r\n`;

/** A chunk of a chunked body. */
export const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
export const lastChunk = "0\r\n\r\n";
export const streamHead = head("200 OK", { "content-type": "text/event-stream", "transfer-encoding": "chunked" });
export const wholeHead = head("200 OK", {
  "content-type": "application/json",
  "content-length": Buffer.byteLength(answer),
});

/** An answer with a status and a JSON body. */
export const status = (line: string, headers: Record<string, string> = {}): Fault => {
  const body = JSON.stringify({ error: { message: "no" } });
  return (socket) =>
    void socket.write(
      head(line, { "content-type": "application/json", "content-length": body.length, ...headers }) + body,
    );
};

/** Bit by bit, with a pause between. */
export async function drip(socket: Socket, text: string, size: number, pauseMs: number): Promise<void> {
  for (let at = 0; at < text.length && !socket.destroyed; at += size) {
    socket.write(text.slice(at, at + size));
    await sleep(pauseMs);
  }
}

/** Calls back once for each whole request on the connection. */
function eachRequest(socket: Socket, then: (stream: boolean) => void): void {
  let seen = "";
  socket.on("data", (data: Buffer) => {
    seen += data.toString("latin1");
    const end = seen.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/content-length: (\d+)/i.exec(seen.slice(0, end))?.[1] ?? 0);
    const body = seen.slice(end + 4);
    if (body.length < length) return;
    seen = "";
    then(body.includes('"stream":true'));
  });
}

/** `onConnect` instead of a fault: nothing is read, the connection itself is what matters. */
export async function startFaulty(fault: Fault, onConnect: "reads" | "never reads" = "reads"): Promise<Faulty> {
  let count = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: onConnect === "never reads" }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    if (onConnect === "never reads") count++;
    else
      eachRequest(socket, (stream) => {
        count++;
        void fault(socket, stream);
      });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => count,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
