/**
 * Puts work off until there is more of the same. At one call at a time its code and data have left the processor's caches
 * until the next call comes; a batch pays for getting them back once.
 */
export interface BatchedOptions<T> {
  /** Must not fail; `failed` hears of it where it does, and the others are done all the same. */
  each(one: T): void;
  failed(cause: unknown): void;
  /** What is too large to be kept, or too urgent. */
  atOnce(one: T): boolean;
  /** Calls `then` after `ms` milliseconds. */
  after(ms: number, then: () => void): unknown;
}

/** So many wait at most: more would be cheaper by a hair, and hold up a call that comes meanwhile for longer. */
const most = 16;
/** So long one waits at most, in milliseconds. */
const waitMs = 20;

export class Batched<T> {
  readonly #options: BatchedOptions<T>;
  #waiting: T[] = [];
  #timed = false;

  constructor(options: BatchedOptions<T>) {
    this.#options = options;
  }

  add(one: T): void {
    this.#waiting.push(one);
    if (this.#waiting.length >= most || this.#options.atOnce(one)) this.drain();
    else if (!this.#timed) this.#time();
  }

  /** In the order in which they came. */
  drain(): void {
    const { each, failed } = this.#options;
    const due = this.#waiting;
    this.#waiting = [];
    for (const one of due) {
      try {
        each(one);
      } catch (cause) {
        failed(cause);
      }
    }
  }

  /** Not stopped where a full batch comes first: under load that would be a timer for each. */
  #time(): void {
    this.#timed = true;
    this.#options.after(waitMs, () => {
      this.#timed = false;
      this.drain();
    });
  }
}
