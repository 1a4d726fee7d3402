/**
 * Which target holds a session's prompt in its cache. A session stays there while the target can be called, and after a
 * move it stays with the new target. Bounded, and local to this proxy.
 */
import type { SessionMove } from "../call/record.ts";
import type { Price } from "../config/price.ts";
import type { Usage } from "../dialects/canonical.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";

/** Holds names only: a reference to a target would keep its whole config in memory. */
interface Stay {
  target: string;
  price: Price | null;
  /** Tokens of the last prompt that the provider read from its cache or wrote to it. */
  cachedTokens: number;
  usedMs: number;
}

/** Providers keep prompts for minutes to an hour. */
const idleMs = 3_600_000;
const maxKept = 20_000;

/**
 * The extra cost of `tokens` of a prompt if they must be moved to a provider that hasn't cached them; null if a price
 * is unknown.
 */
export function moveCost(from: Price | null, to: Price | null, tokens: number): number | null {
  if (from === null || to === null) return null;
  return Math.max(0, Math.round((tokens * (to.input - from.cachedInput)) / 1_000_000));
}

export class SessionTargets {
  /** The session used least recently is the first. */
  readonly #stays = new Map<string, Stay>();

  /** Name of the target that a session is kept on; null for a new session. */
  of(session: string, nowMs: number): string | null {
    const stay = this.#stays.get(session);
    return stay === undefined || nowMs - stay.usedMs > idleMs ? null : stay.target;
  }

  /** Notes which target answered. Returns the move, if another one had answered before. */
  note(session: string, target: ResolvedTarget, usage: Usage | null, nowMs: number): SessionMove | null {
    const before = this.#stays.get(session);
    this.#stays.delete(session);
    if (this.#stays.size >= maxKept) this.#stays.delete(this.#stays.keys().next().value ?? "");
    const cachedTokens = usage === null ? 0 : usage.cachedPrompt + usage.cacheWrite;
    const { price } = target.model.config;
    const to = target.config.name;
    this.#stays.set(session, { target: to, price, cachedTokens, usedMs: nowMs });
    if (before === undefined || nowMs - before.usedMs > idleMs || before.target === to) return null;
    const tokens = Math.min(before.cachedTokens, usage?.prompt ?? before.cachedTokens);
    return { from: before.target, to, costNanoUsd: moveCost(before.price, price, tokens) };
  }
}
