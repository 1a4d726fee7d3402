/**
 * When sessions began, as all proxies agree. The store keeps the time of each session's first call; a proxy asks it for
 * sessions that it doesn't know, and asks again at intervals, so that the store keeps sessions in use.
 */
import { sessionIdleMs } from "../call/session-room.ts";
import type { Clock } from "../clock.ts";
import { patience } from "./exchange.ts";
import type { FleetStore } from "./store.ts";

/** A session in use is reported to the store this often, in milliseconds. */
const renewMs = 3_600_000;
/** How long the store keeps a session after it was last reported, in milliseconds. */
const keptMs = sessionIdleMs + renewMs;
/** Number of sessions remembered; the one used least recently is forgotten. */
const maxKnown = 100_000;

interface Known {
  firstMs: number;
  lastMs: number;
  /** When the store was last asked; null if it could not be. */
  askedMs: number | null;
  /** The run of the store's memory at that time. */
  run: string;
}

export interface SessionTimesOptions {
  /** How long one call to the store may take, in milliseconds. */
  deadlineMs: number;
  /** Whether the store can't be reached. */
  isLost(): boolean;
}

export class SessionTimes {
  readonly #store: Pick<FleetStore, "age" | "run">;
  readonly #clock: Clock;
  readonly #options: SessionTimesOptions;
  /** The session used least recently is the first. */
  readonly #known = new Map<string, Known>();

  constructor(store: Pick<FleetStore, "age" | "run">, clock: Clock, options: SessionTimesOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#options = options;
  }

  /**
   * Milliseconds since the session's first call, which may be this one. Null if only the store knows, and it can't be
   * reached.
   */
  age(session: string): number | null | Promise<number | null> {
    const entry = this.#used(session);
    if (entry !== null && this.#isCurrent(entry)) return this.#ageOf(entry);
    if (this.#options.isLost()) return entry === null ? null : this.#ageOf(entry);
    const knownMs = entry === null ? 0 : this.#ageOf(entry);
    try {
      const age = this.#store.age(session, knownMs, keptMs);
      return age instanceof Promise ? this.#answered(session, entry, age) : this.#learned(session, age);
    } catch {
      return entry === null ? null : knownMs;
    }
  }

  /** Counts the session's time from now on, as its start is unknown. The store learns of it once it is back. */
  beginAlone(session: string): void {
    const nowMs = this.#clock.nowMs();
    this.#keep(session, { firstMs: nowMs, lastMs: nowMs, askedMs: null, run: "" });
  }

  #ageOf({ firstMs }: Known): number {
    return Math.max(0, this.#clock.nowMs() - firstMs);
  }

  /** A store that has lost its memory gets the time back from the proxies that know it. */
  #isCurrent({ askedMs, run }: Known): boolean {
    return askedMs !== null && this.#clock.nowMs() - askedMs < renewMs && run === this.#store.run;
  }

  #used(session: string): Known | null {
    const entry = this.#known.get(session);
    if (entry === undefined) return null;
    this.#known.delete(session);
    const nowMs = this.#clock.nowMs();
    if (nowMs - entry.lastMs >= sessionIdleMs) return null;
    entry.lastMs = nowMs;
    this.#known.set(session, entry);
    return entry;
  }

  #keep(session: string, known: Known): void {
    this.#known.delete(session);
    this.#known.set(session, known);
    if (this.#known.size <= maxKnown) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  #learned(session: string, age: number): number {
    const nowMs = this.#clock.nowMs();
    this.#keep(session, { firstMs: nowMs - age, lastMs: nowMs, askedMs: nowMs, run: this.#store.run });
    return age;
  }

  async #answered(session: string, known: Known | null, asked: Promise<number>): Promise<number | null> {
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const stop = this.#clock.after(this.#options.deadlineMs * patience, () => resolve(null));
    const age = await Promise.race([asked.catch(() => null), late]);
    stop();
    if (age !== null) return this.#learned(session, age);
    return known === null ? null : this.#ageOf(known);
  }
}
