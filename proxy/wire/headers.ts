/** Which headers cross the gateway. Both directions use allow-lists: headers not named here are dropped. */
import type { IncomingHttpHeaders } from "node:http";
import type { ResponseHeaders } from "./upstream.ts";

/** Client → upstream, on passthrough only. They select API behaviour, not identity. */
const behaviour = ["openai-beta", "anthropic-beta", "anthropic-version"] as const;
const towardsUpstream = [...behaviour, "traceparent", "tracestate"] as const;
const idempotency = "idempotency-key";

/** Upstream → client, in addition to the rate-limit headers. */
const towardsClient: ReadonlySet<string> = new Set([
  "openai-processing-ms",
  "openai-version",
  "request-id",
  "retry-after",
  "retry-after-ms",
]);

/** Indexed by first letter, so that most names are rejected without a further look. */
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

function picked(headers: IncomingHttpHeaders, names: readonly string[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (let index = 0; index < names.length; index++) {
    const name = names[index] as string;
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
  return out;
}

/** The headers that change the answer, and so belong to a cache key. */
export const behaviourHeaders = (headers: IncomingHttpHeaders): Record<string, string> => picked(headers, behaviour);

/** Makes a text distinct for each caller. */
interface TextsOfCallers<Caller> {
  ofCaller(caller: Caller, text: string): string;
}

/**
 * A provider sees all callers as one. If two of them used the same idempotency key, it would take the second call for a
 * repetition and return the first caller's answer.
 */
export function forwardHeaders<Caller>(
  headers: IncomingHttpHeaders,
  caller: Caller,
  texts: TextsOfCallers<Caller>,
): Record<string, string> {
  const out = picked(headers, towardsUpstream);
  const once = headers[idempotency];
  if (typeof once === "string") out[idempotency] = texts.ofCaller(caller, once);
  return out;
}

export function replyHeaders(headers: ResponseHeaders, out: Record<string, string | number>): void {
  for (const name in headers) {
    if (!crosses(name)) continue;
    const value = headers[name];
    if (typeof value === "string") out[name] = value;
  }
}

const left = ["limit", "remaining", "reset"];
/**
 * Every header that docs/calling.md promises, exposed to browser pages: "*" doesn't apply to calls with credentials.
 */
export const promisedHeaders = [
  "x-request-id",
  "request-id",
  "x-provider-used",
  "x-provider-request-id",
  "x-sluice-attempts",
  "x-sluice-dropped-params",
  "x-sluice-cache",
  "x-sluice-budget",
  "x-sluice-budget-left-usd",
  "x-sluice-budget-resets",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "sunset",
  "openai-processing-ms",
  "openai-version",
  ...["requests", "tokens"].flatMap((what) => left.map((side) => `x-ratelimit-${side}-${what}`)),
  ...["requests", "tokens", "input-tokens", "output-tokens"].flatMap((what) =>
    left.map((side) => `anthropic-ratelimit-${what}-${side}`),
  ),
].join(", ");
