/** HTTP status and common error bodies → ProviderError. Providers with specific errors examine those first. */

import type { ProviderError, ProviderErrorClass, StreamEvent } from "../dialects/canonical.ts";
import { type Blamed, blame, statusIn } from "../dialects/verdict/blame.ts";
import { wordsOf } from "../dialects/verdict/words.ts";
import type { FailureCode, ProviderWords } from "../failure.ts";
import type { ErrorReply } from "./provider.ts";
import { exhaustedForMs } from "./rate-limits.ts";

function headerText(reply: ErrorReply, name: string): string | null {
  const value = reply.headers[name];
  return typeof value === "string" ? value : (value?.[0] ?? null);
}

/** Daily quotas are the longest that providers have. A longer wait is a mistake, and would close the model for good. */
const maxWaitMs = 86_400_000;
const bounded = (waitMs: number | null): number | null =>
  waitMs === null ? null : Math.min(Math.max(0, Math.round(waitMs)), maxWaitMs);
/** Seconds since 1970, which some servers send in place of a number of seconds. */
const isTimestamp = (seconds: number): boolean => seconds >= 1e9 && seconds < 1e10;

/**
 * `retry-after-ms`, or else `retry-after` in seconds or as a date. In milliseconds; null if neither is usable.
 */
function givenWaitMs(reply: ErrorReply): number | null {
  const millis = Number(headerText(reply, "retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(millis) && millis >= 0) return millis;
  const text = headerText(reply, "retry-after");
  if (text === null || text.trim() === "") return null;
  const seconds = Number(text);
  if (isTimestamp(seconds)) return seconds * 1000 - reply.nowMs;
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : null;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : date - reply.nowMs;
}

/** At least a second, since a 429 asks for a pause. */
const minPauseMs = 1_000;

/** Without Retry-After, a 429's rate-limit headers may give the time. */
function limitWaitMs(reply: ErrorReply): number | null {
  const waitMs = exhaustedForMs(reply.headers, reply.nowMs);
  return waitMs === null ? null : Math.max(minPauseMs, waitMs);
}

const unsafeClasses: ReadonlySet<ProviderErrorClass> = new Set(["Unauthorized"]);

/**
 * Makes a provider's message fit to show: one line, at most 512 characters, replaced by the gateway's own if it may
 * echo a credential. `blamed`: what the provider's own decoder knows. `blame` decides what the decoder leaves open or
 * vague.
 */
export function providerError(
  reply: ErrorReply,
  blamed: Partial<Blamed> & {
    message?: string | null;
    param?: string | null;
    retryAfterMs?: number | null;
    fault?: "caller" | "provider";
  } = {},
): ProviderError {
  const words = wordsOf(reply);
  const known =
    blamed.class !== undefined && blamed.code !== undefined ? { class: blamed.class, code: blamed.code } : null;
  const message = blamed.message || words.message;
  const kind = blame({ status: reply.status, codes: words.codes, message }, known);
  const safe = !unsafeClasses.has(kind.class);
  const fault = blamed.fault ?? faultOf(kind.class, reply, safe ? clean(message) : "");
  return {
    class: kind.class,
    code: kind.code,
    message: (safe ? clean(message) : "") || ownWords(kind.class, reply.status),
    param: blamed.param ?? (safe ? words.theirs.param : null),
    retryAfterMs: bounded(
      blamed.retryAfterMs ?? givenWaitMs(reply) ?? (kind.class === "RateLimited" ? limitWaitMs(reply) : null),
    ),
    upstreamStatus: reply.status,
    ...(fault === null ? {} : { fault }),
    ...(safe && hasWords(words.theirs) ? { theirs: words.theirs } : {}),
  };
}

const hasWords = (theirs: ProviderWords): boolean => Object.values(theirs).some((value) => value !== null);

/** How providers say that a single request exceeds the limit, so that waiting can't help. */
const tooLargeAlone =
  /\b(request|prompt|input)( is|s are)? (too (large|long|big)|larger than)|tokens must be reduced|exceeds? (the |your )?(maximum|per-request|limit (of|for) (a|one) (single )?request)/i;
/** The numbers of OpenAI and Groq, such as `Limit 30000, Requested 45000`. */
const limitNumber = /\blimit:? (\d[\d,]{0,14})/i;
const requestedNumber = /\brequested:? (\d[\d,]{0,14})/i;

function numberIn(text: string, pattern: RegExp): number | null {
  const digits = pattern.exec(text)?.[1];
  return digits === undefined ? null : Number(digits.replaceAll(",", ""));
}

/** Whether a 429 is about the size of this request, so that other requests need not wait. */
function isAboutSize(message: string): boolean {
  const limit = numberIn(message, limitNumber);
  const requested = numberIn(message, requestedNumber);
  return limit !== null && requested !== null ? requested > limit : tooLargeAlone.test(message);
}

function faultOfLimit(reply: ErrorReply, message: string): "caller" | "provider" | null {
  if (isAboutSize(message)) return "caller";
  return exhaustedForMs(reply.headers, reply.nowMs) === null ? null : "provider";
}

/** null if unknown. A 403 may be about the request; other refusals of a credential are about the account. */
function faultOf(kind: ProviderErrorClass, reply: ErrorReply, message: string): "caller" | "provider" | null {
  if (kind === "Unauthorized") return reply.status === 403 ? null : "provider";
  return kind === "RateLimited" ? faultOfLimit(reply, message) : null;
}

function clean(text: string): string {
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();
  return line.length > 512 ? `${line.slice(0, 511)}…` : line;
}

function ownWords(kind: ProviderErrorClass, status: number): string {
  const answered = status === 200;
  switch (kind) {
    case "Unauthorized":
      return "The provider refused the gateway's credential. Ask the platform team to check it.";
    case "RateLimited":
      return "The provider's rate limit is reached. Try again later.";
    case "NotFound":
      return "The provider does not have this model. Ask the platform team to check the model's upstream name.";
    case "BadRequest":
      return answered ? "The provider refused the request." : `The provider refused the request with status ${status}.`;
    case "Timeout":
      return "The provider did not answer in time.";
    default:
      return answered
        ? "The provider broke off the answer."
        : `The provider failed with status ${status}. Try again later.`;
  }
}

/** Builds an error event for a failure in the middle of a stream. */
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

/** The error for a stream event that exceeds the gateway's own size limit, which a request can provoke. */
export function oversizedEvent(message: string): StreamEvent {
  const failed = streamFailure("upstream_invalid_response", message);
  if (failed.kind === "error") failed.error.fault = "caller";
  return failed;
}

/** An error inside a 200 or a stream. `decode` reads the same body with a status. */
export function errorInAnswer(
  body: unknown,
  decode: (reply: ErrorReply) => ProviderError,
  { headers = {}, nowMs = 0 }: Partial<Pick<ErrorReply, "headers" | "nowMs">> = {},
): ProviderError {
  const status = statusIn(body);
  const error = decode({ status, headers, body, nowMs });
  return { ...error, upstreamStatus: 200 };
}
