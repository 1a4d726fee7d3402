/** The response cache: a store, and one upstream call for equal calls at the same time. */
import type { RouteConfig } from "../config/route.ts";
import { Breaker } from "../routing/breaker.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { CachedAnswer, CacheStore } from "./store.ts";
import type { VectorIndex } from "./vectors.ts";

/** Answers larger than this, in bytes, are not stored. */
export const maxAnswerBytes = 4_194_304;

export interface Landed {
  answer: CachedAnswer;
  /** Similarity of the stored question to this one; null for an exact hit. */
  similarity: number | null;
}

/** An equal call is already under way. Resolves with its answer, or null if there is none to share. */
export type Flight = Promise<Landed | null>;

export class ResponseCache {
  readonly store: CacheStore;
  readonly nowMs: () => number;
  readonly vectors: VectorIndex;
  readonly #flights = new Map<string, Flight>();
  readonly #breakers = new Map<string, { fingerprint: string; breaker: Breaker }>();

  /** What else is kept in the store, besides answers of policies. */
  readonly #places: readonly string[];

  constructor(store: CacheStore, vectors: VectorIndex, nowMs: () => number, places: readonly string[] = []) {
    this.#places = places;
    this.store = store;
    this.vectors = vectors;
    this.nowMs = nowMs;
  }

  flight(key: string): Flight | null {
    return this.#flights.get(key) ?? null;
  }

  /** Equal calls wait for this call from now on, until the returned function ends it. */
  lead(key: string): (landed: Landed | null) => void {
    const { promise, resolve } = Promise.withResolvers<Landed | null>();
    this.#flights.set(key, promise);
    return (landed) => {
      if (this.#flights.get(key) === promise) this.#flights.delete(key);
      resolve(landed);
    };
  }

  /**
   * Circuit breaker of a route's semantic look-ups. Separate from the provider's: a provider that is too slow for look-ups
   * may serve embeddings well. A changed policy starts with a closed breaker.
   */
  breaker({ config, fingerprint }: Route): Breaker {
    const cached = this.#breakers.get(config.id);
    if (cached?.fingerprint === fingerprint) return cached.breaker;
    const breaker = new Breaker();
    this.#breakers.set(config.id, { fingerprint, breaker });
    return breaker;
  }

  /** Forgets all other routes. */
  keep(routes: readonly RouteConfig[]): void {
    const ids = new Set(routes.map(({ id }) => id));
    this.store.keep(new Set([...ids, ...this.#places]));
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
