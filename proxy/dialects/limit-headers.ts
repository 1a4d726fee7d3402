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

export function limitHeaders(readings: LimitReadings, surface: keyof typeof surfaces, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const what of ["requests", "tokens"] as const) {
    const reading = readings[what];
    if (reading === null) continue;
    if (surface === "openai") {
      headers[`x-ratelimit-limit-${what}`] = String(reading.limit);
      headers[`x-ratelimit-remaining-${what}`] = String(reading.remaining);
      headers[`x-ratelimit-reset-${what}`] = goDuration(reading.resetMs);
    } else {
      headers[`anthropic-ratelimit-${what}-limit`] = String(reading.limit);
      headers[`anthropic-ratelimit-${what}-remaining`] = String(reading.remaining);
      headers[`anthropic-ratelimit-${what}-reset`] = new Date(nowMs + reading.resetMs).toISOString();
    }
  }
  return headers;
}
