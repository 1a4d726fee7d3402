/**
 * How much of a session's prompt each target's provider has in its cache, as reported by earlier answers. Bounded, and
 * local to this proxy.
 */
import type { Usage } from "../dialects/canonical.ts";

interface Kept {
  tokens: number;
  untilMs: number;
}

/** Providers keep a prompt for at least this long after its last use, in milliseconds. */
const usualMs = 5 * 60_000;
/** For prompts written for an hour. */
const longMs = 3_600_000;
const maxSessions = 20_000;
const none: ReadonlyMap<string, Kept> = new Map();

export class CachedPrompts {
  /** By session, then by target. The session used least recently is the first. */
  readonly #sessions = new Map<string, ReadonlyMap<string, Kept>>();

  note(session: string, target: string, usage: Usage, nowMs: number): void {
    const before = this.#sessions.get(session) ?? none;
    this.#sessions.delete(session);
    const tokens = usage.cachedPrompt + usage.cacheWrite;
    const isLong = (usage.units?.cacheWrite1h ?? 0) > 0 || (before.get(target)?.untilMs ?? 0) > nowMs + usualMs;
    const kept = [...before].filter(([name, { untilMs }]) => name !== target && untilMs > nowMs);
    if (tokens > 0) kept.push([target, { tokens, untilMs: nowMs + (isLong ? longMs : usualMs) }]);
    if (kept.length === 0) return;
    if (this.#sessions.size >= maxSessions) this.#sessions.delete(this.#sessions.keys().next().value ?? "");
    this.#sessions.set(session, new Map(kept));
  }

  /** Tokens of the session's prompt that the target is expected to read from its cache. */
  tokens(session: string, target: string, nowMs: number): number {
    const kept = this.#sessions.get(session)?.get(target);
    return kept === undefined || kept.untilMs <= nowMs ? 0 : kept.tokens;
  }
}
