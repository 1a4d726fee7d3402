/** The response cache: a store, and one call upstream for many that ask the same at once. */
import type { CachedAnswer, CacheStore } from "./store.ts";

/** Answers larger than this, in bytes, are not kept. */
export const maxAnswerBytes = 4_194_304;

/** Somebody is asking upstream already; resolves with the answer, or null where there is none to share. */
export type Flight = Promise<CachedAnswer | null>;

export class ResponseCache {
  readonly store: CacheStore;
  readonly nowMs: () => number;
  readonly #flights = new Map<string, Flight>();

  constructor(store: CacheStore, nowMs: () => number) {
    this.store = store;
    this.nowMs = nowMs;
  }

  flight(key: string): Flight | null {
    return this.#flights.get(key) ?? null;
  }

  /** Whoever asks for the same from now on waits for this call; the function that is given back ends it. */
  lead(key: string): (answer: CachedAnswer | null) => void {
    const { promise, resolve } = Promise.withResolvers<CachedAnswer | null>();
    this.#flights.set(key, promise);
    return (answer) => {
      if (this.#flights.get(key) === promise) this.#flights.delete(key);
      resolve(answer);
    };
  }
}
