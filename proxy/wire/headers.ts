/** Which headers cross the gateway. Allow-lists both ways: what is not named here stays on its side. */
import type { IncomingHttpHeaders } from "node:http";
import type { ResponseHeaders } from "./upstream.ts";

/** Client → upstream, on passthrough only: they choose behaviour of the API, not identity. */
const towardsUpstream = ["openai-beta", "anthropic-beta", "anthropic-version", "traceparent", "tracestate", "idempotency-key"] as const;

/** Upstream → client, beside what tells of rate limits. */
const towardsClient: ReadonlySet<string> = new Set(["openai-processing-ms", "openai-version", "request-id", "retry-after", "retry-after-ms"]);

/** By the first letter, so that most names need no closer look. */
function crosses(name: string): boolean {
  switch (name[0]) {
    case "x":
      return name.startsWith("x-ratelimit-");
    case "a":
      return name.startsWith("anthropic-ratelimit-");
    case "o":
    case "r":
      return towardsClient.has(name);
    default:
      return false;
  }
}

export function forwardHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of towardsUpstream) {
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
  return out;
}

export function replyHeaders(headers: ResponseHeaders, out: Record<string, string | number>): void {
  for (const name in headers) {
    if (!crosses(name)) continue;
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
}
