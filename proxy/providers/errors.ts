/** HTTP status and common error bodies → ProviderError. Providers with words of their own look at those first. */

import type { ProviderError, ProviderErrorClass, StreamEvent } from "../dialects/canonical.ts";
import type { FailureCode } from "../failure.ts";
import type { ErrorReply } from "./provider.ts";
import { exhaustedForMs } from "./rate-limits.ts";

type Classified = { class: ProviderErrorClass; code: FailureCode };

/** What a status means when nothing more is known. */
function classOfStatus(status: number): Classified {
  if (status === 401 || status === 403 || status === 402) return { class: "Unauthorized", code: "upstream_auth_error" };
  if (status === 404) return { class: "NotFound", code: "upstream_model_not_found" };
  if (status === 408 || status === 504) return { class: "Timeout", code: "upstream_timeout" };
  if (status === 429) return { class: "RateLimited", code: "upstream_rate_limited" };
  if (status === 503 || status === 529) return { class: "Unavailable", code: "upstream_unavailable" };
  if (status >= 500 || status < 400) return { class: "ServerError", code: "upstream_error" };
  return { class: "BadRequest", code: "upstream_rejected_request" };
}

function headerText(reply: ErrorReply, name: string): string | null {
  const value = reply.headers[name];
  return typeof value === "string" ? value : (value?.[0] ?? null);
}

/** `retry-after-ms`, then `retry-after` in seconds or as an HTTP date; milliseconds, null where neither is usable. */
export function retryAfterMs(reply: ErrorReply): number | null {
  const millis = Number(headerText(reply, "retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(millis) && millis >= 0) return Math.round(millis);
  const text = headerText(reply, "retry-after");
  if (text === null || text.trim() === "") return null;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds >= 0 ? Math.round(seconds * 1000) : null;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - reply.nowMs);
}

/** A second at least: whoever says 429 wants a pause. */
const leastPauseMs = 1_000;

/** Where a 429 has no Retry-After, its rate-limit headers may tell. */
function limitWaitMs(reply: ErrorReply): number | null {
  const waitMs = exhaustedForMs(reply.headers, reply.nowMs);
  return waitMs === null ? null : Math.max(leastPauseMs, waitMs);
}

const unsafeClasses: ReadonlySet<ProviderErrorClass> = new Set(["Unauthorized"]);

/** A provider's message made fit to show: one line, at most 512 characters, and ours instead where it may echo a credential. */
export function providerError(
  reply: ErrorReply,
  found: Partial<Classified> & {
    message?: string | null;
    param?: string | null;
    retryAfterMs?: number | null;
    fault?: "caller" | "provider";
  } = {},
): ProviderError {
  const fallback = classOfStatus(reply.status);
  const kind = found.class ?? fallback.class;
  const theirs = found.message && !unsafeClasses.has(kind) ? clean(found.message) : "";
  const fault = found.fault ?? faultOf(kind, reply, theirs);
  return {
    class: kind,
    code: found.code ?? fallback.code,
    message: theirs || ownWords(kind, reply.status),
    param: found.param ?? null,
    retryAfterMs: found.retryAfterMs ?? retryAfterMs(reply) ?? (kind === "RateLimited" ? limitWaitMs(reply) : null),
    upstreamStatus: reply.status,
    ...(fault === null ? {} : { fault }),
  };
}

/** How providers say that one request alone exceeds the limit, so that waiting can't help it. */
const tooLargeAlone =
  /\b(request|prompt|input)( is|s are)? (too (large|long|big)|larger than)|tokens must be reduced|exceeds? (the |your )?(maximum|per-request|limit (of|for) (a|one) (single )?request)/i;
/** OpenAI's and Groq's numbers, such as `Limit 30000, Requested 45000`. */
const limitNumber = /\blimit:? (\d[\d,]{0,14})/i;
const requestedNumber = /\brequested:? (\d[\d,]{0,14})/i;

function numberIn(text: string, pattern: RegExp): number | null {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? null : Number(digits.replaceAll(",", ""));
}

/** Whether a 429 is about the size of this request: nobody else has to wait for it. */
function isAboutSize(message: string): boolean {
  const limit = numberIn(message, limitNumber);
  const requested = numberIn(message, requestedNumber);
  return limit !== null && requested !== null ? requested > limit : tooLargeAlone.test(message);
}

function faultOfLimit(reply: ErrorReply, message: string): "caller" | "provider" | null {
  if (isAboutSize(message)) return "caller";
  return exhaustedForMs(reply.headers, reply.nowMs) === null ? null : "provider";
}

/** null: nobody can tell. A 403 may be about what was asked; other refusals of a credential are about the account. */
function faultOf(kind: ProviderErrorClass, reply: ErrorReply, message: string): "caller" | "provider" | null {
  if (kind === "Unauthorized") return reply.status === 403 ? null : "provider";
  return kind === "RateLimited" ? faultOfLimit(reply, message) : null;
}

function clean(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
  return line.length > 512 ? `${line.slice(0, 511)}…` : line;
}

function ownWords(kind: ProviderErrorClass, status: number): string {
  switch (kind) {
    case "Unauthorized":
      return "The provider refused the gateway's credential. Ask the platform team to check it.";
    case "RateLimited":
      return "The provider's rate limit is reached. Try again later.";
    case "NotFound":
      return "The provider does not have this model. Ask the platform team to check the model's upstream name.";
    case "BadRequest":
      return `The provider refused the request with status ${status}.`;
    case "Timeout":
      return "The provider did not answer in time.";
    default:
      return `The provider failed with status ${status}. Try again later.`;
  }
}

/** Builds an error event for what arrives in the middle of a stream. */
export function streamFailure(
  code: FailureCode,
  message: string,
  kind: ProviderErrorClass = "ServerError",
): StreamEvent {
  return {
    kind: "error",
    error: { class: kind, code, message: clean(message), param: null, retryAfterMs: null, upstreamStatus: null },
  };
}

/** An event of a stream that exceeds the gateway's own size cap, which a request may ask for. */
export function oversizedEvent(message: string): StreamEvent {
  const failed = streamFailure("upstream_invalid_response", message);
  if (failed.kind === "error") failed.error.fault = "caller";
  return failed;
}

/** What the words that OpenAI and Anthropic use for an error's code or type come to. */
const kindsByCode: Readonly<Record<string, Classified>> = {
  rate_limit_exceeded: { class: "RateLimited", code: "upstream_rate_limited" },
  rate_limit_error: { class: "RateLimited", code: "upstream_rate_limited" },
  insufficient_quota: { class: "RateLimited", code: "upstream_rate_limited" },
  overloaded_error: { class: "Unavailable", code: "upstream_unavailable" },
  server_overloaded: { class: "Unavailable", code: "upstream_unavailable" },
  timeout_error: { class: "Timeout", code: "upstream_timeout" },
  authentication_error: { class: "Unauthorized", code: "upstream_auth_error" },
  permission_error: { class: "Unauthorized", code: "upstream_auth_error" },
  invalid_request_error: { class: "BadRequest", code: "upstream_rejected_request" },
  context_length_exceeded: { class: "BadRequest", code: "context_length_exceeded" },
  content_filter: { class: "BadRequest", code: "content_filter" },
  upstream_invalid_response: { class: "ServerError", code: "upstream_invalid_response" },
};

/** An error that came in a stream which passes through, by its own code. `oversized`: it exceeded the gateway's own cap. */
export function failureInStream(message: string, code: string | null, oversized = false): ProviderError {
  const kind = (code !== null && Object.hasOwn(kindsByCode, code) ? kindsByCode[code] : undefined) ?? {
    class: "ServerError",
    code: "upstream_error",
  };
  const shown = kind.class === "Unauthorized" ? ownWords("Unauthorized", 0) : clean(message);
  const fault = oversized || (kind.class === "RateLimited" && isAboutSize(shown)) ? ({ fault: "caller" } as const) : {};
  return { ...kind, message: shown, param: null, retryAfterMs: null, upstreamStatus: null, ...fault };
}
