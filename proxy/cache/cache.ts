/** The response cache: a store, and one call upstream for many that ask the same at once. */
import type { RouteConfig } from "../config/route.ts";
import { Breaker } from "../routing/breaker.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { CachedAnswer, CacheStore } from "./store.ts";
import type { VectorIndex } from "./vectors.ts";

/** Answers larger than this, in bytes, are not kept. */
export const maxAnswerBytes = 4_194_304;

export interface Landed {
  answer: CachedAnswer;
  /** Of the question that it answered to the one that was asked; null where they are the same. */
  similarity: number | null;
}

/** Somebody is asking upstream already; resolves with the answer, or null where there is none to share. */
export type Flight = Promise<Landed | null>;

export class ResponseCache {
  readonly store: CacheStore;
  readonly nowMs: () => number;
  readonly vectors: VectorIndex;
  readonly #flights = new Map<string, Flight>();
  readonly #breakers = new Map<string, { fingerprint: string; breaker: Breaker }>();

  constructor(store: CacheStore, vectors: VectorIndex, nowMs: () => number) {
    this.store = store;
    this.vectors = vectors;
    this.nowMs = nowMs;
  }

  flight(key: string): Flight | null {
    return this.#flights.get(key) ?? null;
  }

  /** Whoever asks for the same from now on waits for this call; the function that is given back ends it. */
  lead(key: string): (landed: Landed | null) => void {
    const { promise, resolve } = Promise.withResolvers<Landed | null>();
    this.#flights.set(key, promise);
    return (landed) => {
      if (this.#flights.get(key) === promise) this.#flights.delete(key);
      resolve(landed);
    };
  }

  /**
   * Whether a route's look-ups by meaning are worth their time. One of its own: what is too slow for a look-up may well
   * serve calls for embeddings. A changed policy is tried anew.
   */
  breaker({ config, fingerprint }: Route): Breaker {
    const known = this.#breakers.get(config.id);
    if (known?.fingerprint === fingerprint) return known.breaker;
    const breaker = new Breaker();
    this.#breakers.set(config.id, { fingerprint, breaker });
    return breaker;
  }

  /** Forgets routes that are not among these. */
  keep(routes: readonly RouteConfig[]): void {
    const ids = new Set(routes.map(({ id }) => id));
    this.store.keep(ids);
    const comparing = routes.flatMap(({ id, cache }) =>
      cache?.semantic ? [[id, { ttlMs: cache.ttlMs, maxEntries: cache.semantic.maxEntries }] as const] : [],
    );
    this.vectors.keep(new Map(comparing));
    for (const id of this.#breakers.keys()) if (!ids.has(id)) this.#breakers.delete(id);
  }

  async close(): Promise<void> {
    await this.vectors.close();
    await this.store.close();
  }
}
