/** Bytes to a server as they are, since every HTTP client mends what attackers leave broken. */
import { Buffer } from "node:buffer";
import { connect } from "node:net";

export interface RawAnswer {
  /** Statuses of all answers, in order. */
  statuses: number[];
  /** Codes of all error envelopes, in order. */
  codes: string[];
  text: string;
  /** The server closed the connection. */
  closed: boolean;
}

/** Resolves when the server closes, or when `answers` heads have come and nothing more for `quietMs`. */
export function raw(
  url: string,
  request: string,
  { answers = 1, quietMs = 60, withinMs = 60_000 } = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.from(request, "latin1")));
    const done = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({
        statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((found) => Number(found[1])),
        codes: [...text.matchAll(/"code":"([a-z0-9_]+)"/g)].map((found) => found[1] ?? ""),
        text,
        closed,
      });
    };
    let timer = setTimeout(() => done(false), withinMs);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      if ([...text.matchAll(/HTTP\/1\.1 \d{3}/g)].length < answers) return;
      clearTimeout(timer);
      timer = setTimeout(() => done(false), quietMs);
    });
    socket.on("close", () => done(true));
    socket.on("error", (cause: NodeJS.ErrnoException) => (cause.code === "ECONNRESET" ? done(true) : reject(cause)));
  });
}
