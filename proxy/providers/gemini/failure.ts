/**
 * Google's error envelope: `{"error": {code, message, status, details}}`, sometimes in an array of one
 * (https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193).
 */

import type { ProviderError } from "../../dialects/canonical.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { providerError } from "../errors.ts";
import type { ErrorReply } from "../provider.ts";
import { text } from "./reply.ts";

type Kind = Pick<ProviderError, "class" | "code">;

const credential: Kind = { class: "Unauthorized", code: "upstream_auth_error" };

/** The status name says more than the HTTP status, and is the only one in a stream. */
const kinds: Readonly<Record<string, Kind>> = {
  INVALID_ARGUMENT: { class: "BadRequest", code: "upstream_rejected_request" },
  OUT_OF_RANGE: { class: "BadRequest", code: "upstream_rejected_request" },
  // Documented for projects without billing in countries without a free tier. The caller can't fix it.
  FAILED_PRECONDITION: credential,
  UNAUTHENTICATED: credential,
  PERMISSION_DENIED: credential,
  NOT_FOUND: { class: "NotFound", code: "upstream_model_not_found" },
  RESOURCE_EXHAUSTED: { class: "RateLimited", code: "upstream_rate_limited" },
  CANCELLED: { class: "Unavailable", code: "upstream_unavailable" },
  UNAVAILABLE: { class: "Unavailable", code: "upstream_unavailable" },
  DEADLINE_EXCEEDED: { class: "Timeout", code: "upstream_timeout" },
  INTERNAL: { class: "ServerError", code: "upstream_error" },
};

/** `RetryInfo.retryDelay`, a duration such as `39s` or `0.5s`; milliseconds. */
function retryDelayMs(details: readonly JsonObject[]): number | null {
  for (const detail of details) {
    const delay = String(detail["@type"]).endsWith("google.rpc.RetryInfo") ? detail["retryDelay"] : undefined;
    const seconds = typeof delay === "string" ? /^(\d+(?:\.\d+)?)s$/.exec(delay)?.[1] : undefined;
    if (seconds !== undefined) return Math.ceil(Number(seconds) * 1000);
  }
  return null;
}

function kindOf(status: string, message: string, details: readonly JsonObject[]): Kind | null {
  // A bad API key is INVALID_ARGUMENT with the reason API_KEY_INVALID.
  if (details.some((detail) => String(detail["reason"]).startsWith("API_KEY_"))) return credential;
  const kind = Object.hasOwn(kinds, status) ? (kinds[status] ?? null) : null;
  // "The input token count (…) exceeds the maximum number of tokens allowed (…)."
  if (kind?.class === "BadRequest" && /token count.*exceeds the maximum/is.test(message))
    return { class: "BadRequest", code: "context_length_exceeded" };
  return kind;
}

export function decodeGeminiError(reply: ErrorReply): ProviderError {
  const outer: unknown = Array.isArray(reply.body) ? reply.body[0] : reply.body;
  const error = isObject(outer) && isObject(outer["error"]) ? outer["error"] : {};
  const message = text(error["message"]) ?? "";
  const details = objectsIn(error["details"]);
  return providerError(reply, {
    ...kindOf(text(error["status"]) ?? "", message, details),
    message,
    retryAfterMs: retryDelayMs(details),
  });
}

/** An error frame in a stream that began with HTTP status 200. */
export function decodeStreamError(body: JsonObject): ProviderError {
  const error = isObject(body["error"]) ? body["error"] : {};
  const code = error["code"];
  const status = typeof code === "number" && code >= 400 && code < 600 ? code : 500;
  return { ...decodeGeminiError({ status, headers: {}, body, nowMs: 0 }), upstreamStatus: 200 };
}
