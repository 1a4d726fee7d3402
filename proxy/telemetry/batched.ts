/**
 * Collects work of one kind into batches. Between single calls, code and data leave the processor's caches; a batch
 * loads them only once.
 */
export interface BatchedOptions<T> {
  /** Must not throw. If it does, `failed` gets the error, and the rest of the batch is still done. */
  each(item: T): void;
  failed(cause: unknown): void;
  /** Whether the item is too large to keep, or too urgent. */
  atOnce(item: T): boolean;
  /** Calls `then` after `ms` milliseconds. */
  after(ms: number, then: () => void): unknown;
}

/** Largest batch. A larger one would save little more, and delay a call that arrives meanwhile. */
const most = 16;
/** Longest wait of an item, in milliseconds. */
const waitMs = 20;

export class Batched<T> {
  readonly #options: BatchedOptions<T>;
  #waiting: T[] = [];
  #timed = false;

  constructor(options: BatchedOptions<T>) {
    this.#options = options;
  }

  add(item: T): void {
    this.#waiting.push(item);
    if (this.#waiting.length >= most || this.#options.atOnce(item)) this.drain();
    else if (!this.#timed) this.#time();
  }

  /** In order of arrival. */
  drain(): void {
    const { each, failed } = this.#options;
    const due = this.#waiting;
    this.#waiting = [];
    for (let index = 0; index < due.length; index++) {
      try {
        each(due[index] as T);
      } catch (cause) {
        failed(cause);
      }
    }
  }

  /** Keeps running when a full batch comes first: stopping it would mean a timer for each batch under load. */
  #time(): void {
    this.#timed = true;
    this.#options.after(waitMs, () => {
      this.#timed = false;
      this.drain();
    });
  }
}
