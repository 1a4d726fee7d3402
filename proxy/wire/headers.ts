/** Which headers cross the gateway. Allow-lists both ways: what is not named here stays on its side. */
import type { IncomingHttpHeaders } from "node:http";
import type { ResponseHeaders } from "./upstream.ts";

/** Client → upstream, on passthrough only: they choose behaviour of the API, not identity. */
const towardsUpstream = ["openai-beta", "anthropic-beta", "anthropic-version", "traceparent", "tracestate", "idempotency-key"] as const;

/** Upstream → client. */
const towardsClient = ["openai-processing-ms", "openai-version", "request-id", "retry-after", "retry-after-ms"] as const;

export function forwardHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of towardsUpstream) {
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
  return out;
}

export function replyHeaders(headers: ResponseHeaders, out: Record<string, string | number>): void {
  for (const name of towardsClient) {
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
  for (const name in headers) {
    if (!name.startsWith("x-ratelimit-") && !name.startsWith("anthropic-ratelimit-")) continue;
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
}
