/** The headers that tell callers what remains of their limits, in OpenAI's and Anthropic's format. */
import type { surfaces } from "./surfaces.ts";

/** The current state of a limit. */
export interface LimitReading {
  limit: number;
  remaining: number;
  /** Time until the whole limit is available again, in milliseconds. */
  resetMs: number;
}

/** Frequent ones: below a second by milliseconds, and up to two hours by seconds. */
const shortDurations = new Map<number, string>();
const longDurations = new Map<number, string>();
const maxSeconds = 7_200;

function kept(durations: Map<number, string>, count: number, make: (count: number) => string): string {
  let text = durations.get(count);
  if (text === undefined) durations.set(count, (text = make(count)));
  return text;
}

/** OpenAI writes durations as Go does, such as 6m0s and 20ms. */
function goDuration(ms: number): string {
  if (ms < 1_000) return kept(shortDurations, Math.max(0, Math.ceil(ms)), inMilliseconds);
  const seconds = Math.ceil(ms / 1_000);
  return seconds <= maxSeconds ? kept(longDurations, seconds, inUnits) : inUnits(seconds);
}

const inMilliseconds = (count: number): string => [count, "ms"].join("");

function inUnits(seconds: number): string {
  const hours = Math.floor(seconds / 3_600);
  const minutes = Math.floor((seconds % 3_600) / 60);
  const rest = seconds % 60;
  return [hours > 0 ? `${hours}h` : "", hours > 0 || minutes > 0 ? `${minutes}m` : "", rest, "s"].join("");
}

/** null if there is no limit of that kind. */
export type LimitReadings = Readonly<Record<"requests" | "tokens", LimitReading | null>>;

type Headers = Record<string, string | number>;

/** Written out for both formats: a name built at run time would be looked up again for every call. */
function addInOpenAi(headers: Headers, { requests, tokens }: LimitReadings): void {
  if (requests !== null) {
    headers["x-ratelimit-limit-requests"] = requests.limit;
    headers["x-ratelimit-remaining-requests"] = requests.remaining;
    headers["x-ratelimit-reset-requests"] = goDuration(requests.resetMs);
  }
  if (tokens !== null) {
    headers["x-ratelimit-limit-tokens"] = tokens.limit;
    headers["x-ratelimit-remaining-tokens"] = tokens.remaining;
    headers["x-ratelimit-reset-tokens"] = goDuration(tokens.resetMs);
  }
}

function addInAnthropic(headers: Headers, { requests, tokens }: LimitReadings, nowMs: number): void {
  if (requests !== null) {
    headers["anthropic-ratelimit-requests-limit"] = requests.limit;
    headers["anthropic-ratelimit-requests-remaining"] = requests.remaining;
    headers["anthropic-ratelimit-requests-reset"] = new Date(nowMs + requests.resetMs).toISOString();
  }
  if (tokens !== null) {
    headers["anthropic-ratelimit-tokens-limit"] = tokens.limit;
    headers["anthropic-ratelimit-tokens-remaining"] = tokens.remaining;
    headers["anthropic-ratelimit-tokens-reset"] = new Date(nowMs + tokens.resetMs).toISOString();
  }
}

/** `nowMs`: when the readings were taken. */
export function addLimitHeaders(
  headers: Headers,
  readings: LimitReadings,
  surface: keyof typeof surfaces,
  nowMs: number,
): void {
  if (surface === "openai") addInOpenAi(headers, readings);
  else addInAnthropic(headers, readings, nowMs);
}
