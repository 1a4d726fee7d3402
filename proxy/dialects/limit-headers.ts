/** How callers read what is left of their limits: in the headers of OpenAI's or of Anthropic's API. */
import type { surfaces } from "./surfaces.ts";

/** One limit as it stands. */
export interface LimitReading {
  limit: number;
  remaining: number;
  /** Until everything is free again, in milliseconds. */
  resetMs: number;
}

/** OpenAI writes durations as Go does, such as 6m0s and 20ms. */
export function goDuration(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1_000);
  const parts = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60), seconds % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${rest}s`;
}

/** null: no limit of that kind. */
export type LimitReadings = Readonly<Record<"requests" | "tokens", LimitReading | null>>;

const kinds = ["requests", "tokens"] as const;

/** Of limit, remainder and reset. Written out: a name that is put together is looked up anew with every call. */
const names = {
  openai: {
    requests: ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    tokens: ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
  },
  anthropic: {
    requests: ["anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"],
    tokens: ["anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"],
  },
} as const;

export function limitHeaders(readings: LimitReadings, surface: keyof typeof surfaces, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const what of kinds) {
    const reading = readings[what];
    if (reading === null) continue;
    const [limit, remaining, reset] = names[surface][what];
    headers[limit] = String(reading.limit);
    headers[remaining] = String(reading.remaining);
    headers[reset] = surface === "openai" ? goDuration(reading.resetMs) : new Date(nowMs + reading.resetMs).toISOString();
  }
  return headers;
}
