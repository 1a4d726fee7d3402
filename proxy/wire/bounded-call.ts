/** A small call that the gateway makes for itself, such as to a token endpoint, with limits on time and size. */
import { Buffer } from "node:buffer";
import type { Upstreams } from "./upstream.ts";
import type { UpstreamTls } from "./upstream-address.ts";

const timeoutMs = 15_000;
const maxBytes = 262_144;

export function boundedCall(
  upstreams: Upstreams,
  url: string,
  request: { method: "POST" | "GET"; headers: Record<string, string>; body: string | null },
  allowPrivate: boolean,
  tls: UpstreamTls | null = null,
): Promise<{ status: number; body: string }> {
  const target = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let status = 0;
    const timer = setTimeout(
      () => fail(Object.assign(new Error("no answer in time"), { code: "ESLUICELATE" })),
      timeoutMs,
    );
    const call = upstreams.send(
      {
        origin: target.origin,
        allowPrivate,
        connectMs: timeoutMs,
        writeMs: timeoutMs,
        ...(tls === null ? {} : { tls }),
      },
      { ...request, path: target.pathname + target.search },
      {
        head: (code) => {
          status = code;
        },
        data(chunk) {
          size += chunk.length;
          if (size > maxBytes) fail(new Error("the answer is too large"));
          else chunks.push(chunk);
          return true;
        },
        end() {
          clearTimeout(timer);
          resolve({ status, body: Buffer.concat(chunks).toString("utf8") });
        },
        error: (_kind, cause) => fail(cause),
      },
    );
    function fail(cause: Error): void {
      clearTimeout(timer);
      reject(cause);
      // Deferred: within `send`, the value that it returns is not available yet.
      queueMicrotask(() => call.abort());
    }
  });
}
