/**
 * When the next request may be made, by a provider's rate-limit headers. Their names vary in order and prefix
 * (`x-ratelimit-remaining-requests`, `…-ratelimit-requests-remaining`), so they are split into words. A reset is the
 * time until the whole limit is available again: one request fits when its share of that time has passed.
 */
import type { ResponseHeaders } from "../wire/upstream.ts";

interface Limit {
  limit: number | null;
  remaining: number | null;
  resetMs: number | null;
}

const what = /^(?:[a-z]+-)*ratelimit-(?:(limit|remaining|reset)(?:-([a-z-]+))?|([a-z-]+)-(limit|remaining|reset))$/;
const partMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** A prompt takes more than one token. A tenth of the limit is a guess that is not far off in either direction. */
const tokenShare = 0.1;
/** Larger numbers are seconds since 1970 rather than from now. */
const epochSeconds = 1_000_000_000;

/** `120ms`, `6m0s`, seconds, seconds since 1970, or a date. In milliseconds from now; null if it is none of these. */
export function resetMs(text: string, nowMs: number): number | null {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number))
    return Math.max(0, number >= epochSeconds ? number * 1000 - nowMs : number * 1000);
  if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)].reduce(
      (sum, [, count, unit]) => sum + Number(count) * (partMs[unit ?? ""] ?? 0),
      0,
    );
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

const numberOf = (text: string): number | null => (/^\d{1,15}$/.test(text) ? Number(text) : null);

function limitsOf(headers: ResponseHeaders, nowMs: number): Map<string, Limit> {
  const limits = new Map<string, Limit>();
  for (const name in headers) {
    if (!name.includes("ratelimit")) continue;
    const match = what.exec(name);
    const value = headers[name];
    if (match === null || typeof value !== "string") continue;
    const kind = match[2] ?? match[3] ?? "requests";
    const limit = limits.get(kind) ?? { limit: null, remaining: null, resetMs: null };
    limits.set(kind, limit);
    const field = match[1] ?? match[4];
    if (field === "reset") limit.resetMs = resetMs(value, nowMs);
    else if (field === "limit") limit.limit = numberOf(value);
    else limit.remaining = numberOf(value);
  }
  return limits;
}

/** Milliseconds until the next request may succeed; null if the headers show no exhausted limit. */
export function exhaustedForMs(headers: ResponseHeaders, nowMs: number): number | null {
  let longest: number | null = null;
  for (const [kind, { limit, remaining, resetMs: reset }] of limitsOf(headers, nowMs)) {
    if (remaining !== 0 || reset === null) continue;
    const share = kind.includes("token") ? tokenShare : limit === null || limit === 0 ? 1 : 1 / limit;
    longest = Math.max(longest ?? 0, Math.ceil(reset * share));
  }
  return longest;
}
