/**
 * What a provider's rate-limit headers say of the next request. Their names vary in order and prefix
 * (`x-ratelimit-remaining-requests`, `…-ratelimit-requests-remaining`), so they are taken apart by their words. A reset
 * is the time until the limit is whole again: one request fits when its share of that has passed.
 */
import type { ResponseHeaders } from "../wire/upstream.ts";

interface Limit {
  limit: number | null;
  remaining: number | null;
  resetMs: number | null;
}

const what = /^(?:[a-z]+-)*ratelimit-(?:(limit|remaining|reset)(?:-([a-z-]+))?|([a-z-]+)-(limit|remaining|reset))$/;
const partMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Of tokens, a prompt takes more than one: a tenth of the limit is a guess that is wrong on neither side by much. */
const tokenShare = 0.1;
/** Numbers from here on are seconds since 1970, not from now. */
const epochSeconds = 1_000_000_000;

/** `120ms`, `6m0s`, seconds, seconds since 1970, or a date; milliseconds from now, null where it is none of them. */
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
    const found = what.exec(name);
    const value = headers[name];
    if (found === null || typeof value !== "string") continue;
    const of = found[2] ?? found[3] ?? "requests";
    const one = limits.get(of) ?? { limit: null, remaining: null, resetMs: null };
    limits.set(of, one);
    const field = found[1] ?? found[4];
    if (field === "reset") one.resetMs = resetMs(value, nowMs);
    else if (field === "limit") one.limit = numberOf(value);
    else one.remaining = numberOf(value);
  }
  return limits;
}

/** Milliseconds until the next request has a chance; null where the headers name no limit that is used up. */
export function exhaustedForMs(headers: ResponseHeaders, nowMs: number): number | null {
  let longest: number | null = null;
  for (const [of, { limit, remaining, resetMs: reset }] of limitsOf(headers, nowMs)) {
    if (remaining !== 0 || reset === null) continue;
    const share = of.includes("token") ? tokenShare : limit === null || limit === 0 ? 1 : 1 / limit;
    longest = Math.max(longest ?? 0, Math.ceil(reset * share));
  }
  return longest;
}
