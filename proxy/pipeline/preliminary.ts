/**
 * Stage before all others: refuses requests that two servers in a row could read differently, and handles pages of
 * other origins.
 */
import { type Failure, failure } from "../failure.ts";
import type { ClientConnection } from "../wire/client.ts";
import { allowOrigin, preflight } from "./cors.ts";
import type { Unambiguous } from "./proof.ts";

const maxHeaders = 100;

/** Headers for identity, origin or body length. If one occurs twice, it is ambiguous which counts. */
const single: ReadonlySet<string> = new Set([
  "authorization",
  "x-api-key",
  "api-key",
  "host",
  "origin",
  "content-type",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "x-request-id",
]);

const crowded = failure("too_many_headers", `The request has more than ${maxHeaders} headers. Send fewer.`);
const unframed = failure("invalid_value", "The request's transfer-encoding must be chunked, and needs HTTP/1.1.");
const hostless = failure("invalid_value", "The request has no Host header.");
const ancient = failure("invalid_value", "The request must be HTTP/1.0 or HTTP/1.1.");

/** One bit per such header; 0 for all others. Cached by spelling, as clients use few spellings. */
const bits = new Map([...single].map((name, index) => [name, 1 << index]));
const maxSpellings = 256;

function bitOf(spelled: string): number {
  let bit = bits.get(spelled);
  if (bit === undefined) {
    bit = bits.get(spelled.toLowerCase()) ?? 0;
    if (bits.size < maxSpellings) bits.set(spelled, bit);
  }
  return bit;
}

function repeated(rawHeaders: readonly string[]): Failure | null {
  let seen = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const bit = bitOf(name);
    if ((seen & bit) !== 0)
      return failure("duplicate_header", `The request has the header ${name.toLowerCase()} twice. Send it once.`);
    seen |= bit;
  }
  return null;
}

function ambiguous(client: ClientConnection): Failure | null {
  const { rawHeaders, httpVersion } = client;
  if (rawHeaders.length > 2 * maxHeaders) return crowded;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return ancient;
  if (httpVersion === "1.1" && client.header("host") === null) return hostless;
  const encoding = client.header("transfer-encoding");
  if (encoding !== null && (encoding.toLowerCase() !== "chunked" || httpVersion !== "1.1")) return unframed;
  return repeated(rawHeaders);
}

/** "answered": nothing is left to do. */
export function preliminary(
  client: ClientConnection,
  allowedOrigins: readonly string[],
): "answered" | Failure | Unambiguous {
  allowOrigin(client, allowedOrigins);
  return ambiguous(client) ?? preflight(client, allowedOrigins) ?? (client as Unambiguous);
}
