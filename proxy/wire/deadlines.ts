/**
 * Time limits of many calls on one timer. Postponing a limit, as each chunk of a stream does, or lifting it, as nearly
 * every call does at its end, only writes a number. The timer is left alone; when it fires, it expires the limits that
 * are due and sets itself to the next.
 */
import { type IndexedMember, IndexedSet } from "./indexed-set.ts";

export interface Timed extends IndexedMember {
  /** Milliseconds on the clock of its `Deadlines`, which maintains this field. */
  dueMs: number;
  /** Called when the time is up, after the limit was lifted. May set another. */
  expired(): void;
}

export interface DeadlineClock {
  /** Milliseconds of a monotonic clock. */
  nowMs(): number;
  /** Calls back once, after that many whole milliseconds. Returns a function that cancels it. */
  after(ms: number, then: () => void): () => void;
}

/** Longest delay that `setTimeout` supports, in milliseconds. */
const maxWaitMs = 2 ** 31 - 1;

const ownClock: DeadlineClock = {
  nowMs: () => performance.now(),
  after(ms, then) {
    // Every limit belongs to a call with a connection, which already keeps the process alive.
    const timer = setTimeout(then, ms).unref();
    return () => clearTimeout(timer);
  },
};

export class Deadlines {
  readonly #clock: DeadlineClock;
  readonly #timed = new IndexedSet<Timed>();
  #callOff: (() => void) | null = null;
  /** When the timer fires, in milliseconds. */
  #wakesMs = Number.POSITIVE_INFINITY;

  constructor(clock: DeadlineClock = ownClock) {
    this.#clock = clock;
  }

  /**
   * Now, in milliseconds of the clock that limits use. Durations are measured by it too: it doesn't jump with the
   * system's clock, and tells apart moments within a millisecond.
   */
  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** Sets the limit, replacing any earlier one. */
  set(timed: Timed, dueMs: number): void {
    timed.dueMs = dueMs;
    if (timed.place < 0) this.#timed.add(timed);
    if (dueMs < this.#wakesMs) this.#wake(dueMs);
  }

  lift(timed: Timed): void {
    if (timed.place >= 0) this.#timed.delete(timed);
  }

  #wake(dueMs: number): void {
    this.#callOff?.();
    this.#wakesMs = dueMs;
    const waitMs = Math.min(maxWaitMs, Math.max(0, Math.ceil(dueMs - this.#clock.nowMs())));
    this.#callOff = this.#clock.after(waitMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    this.#callOff = null;
    this.#wakesMs = Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const timed of this.#timed) {
      if (timed.place < 0) continue;
      if (timed.dueMs <= nowMs) {
        this.#timed.delete(timed);
        timed.expired();
      } else nextMs = Math.min(nextMs, timed.dueMs);
    }
    if (nextMs < this.#wakesMs) this.#wake(nextMs);
  }
}
