/**
 * Time limits of many calls on one timer. A limit that is moved later, as with each chunk of a stream, or lifted, as at
 * the end of nearly every call, costs a number written: the timer stays where it is, and when it fires it looks who is
 * due and sets itself to the next.
 */
import { type IndexedMember, IndexedSet } from "./indexed-set.ts";

export interface Timed extends IndexedMember {
  /** By the clock of its `Deadlines`, which keeps it. */
  dueMs: number;
  /** The time is up; the limit is lifted before. May set another. */
  expired(): void;
}

export interface DeadlineClock {
  /** Milliseconds, of a clock that only goes forward. */
  nowMs(): number;
  /** Calls once, after so many whole milliseconds; what is given back calls it off. */
  after(ms: number, then: () => void): () => void;
}

/** The longest that `setTimeout` can wait. */
const longestWaitMs = 2 ** 31 - 1;

const ownClock: DeadlineClock = {
  nowMs: () => performance.now(),
  after(ms, then) {
    // Whoever has a limit has a connection as well, which keeps the process alive.
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

export class Deadlines {
  readonly #clock: DeadlineClock;
  readonly #timed = new IndexedSet<Timed>();
  #callOff: (() => void) | null = null;
  /** When the timer fires. */
  #wakesMs = Number.POSITIVE_INFINITY;

  constructor(clock: DeadlineClock = ownClock) {
    this.#clock = clock;
  }

  /** Milliseconds, by the clock in which limits are told. */
  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** In place of the limit that there was. */
  set(one: Timed, dueMs: number): void {
    one.dueMs = dueMs;
    if (one.place < 0) this.#timed.add(one);
    if (dueMs < this.#wakesMs) this.#wake(dueMs);
  }

  lift(one: Timed): void {
    if (one.place >= 0) this.#timed.delete(one);
  }

  #wake(dueMs: number): void {
    this.#callOff?.();
    this.#wakesMs = dueMs;
    const waitMs = Math.min(longestWaitMs, Math.max(0, Math.ceil(dueMs - this.#clock.nowMs())));
    this.#callOff = this.#clock.after(waitMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    this.#callOff = null;
    this.#wakesMs = Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const one of this.#timed) {
      if (one.place < 0) continue;
      if (one.dueMs <= nowMs) {
        this.#timed.delete(one);
        one.expired();
      } else nextMs = Math.min(nextMs, one.dueMs);
    }
    if (nextMs < this.#wakesMs) this.#wake(nextMs);
  }
}
