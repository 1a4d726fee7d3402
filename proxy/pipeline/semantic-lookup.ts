/** Part of the cache look-up: finds an answer to a question with the same meaning. Any failure is a miss. */
import type { CacheLookup } from "../cache/key.ts";
import { type Question, question } from "../cache/question.ts";
import type { CachedAnswer } from "../cache/store.ts";
import type { CacheConfig, SemanticCacheConfig } from "../config/cache.ts";
import type { BreakerLimits } from "../routing/breaker.ts";
import type { Embedder } from "../snapshot/snapshot.ts";
import type { CachedCall } from "./cached-call.ts";
import { type Embedded, embed } from "./embed.ts";

/** A provider that keeps failing gets no calls for five seconds, then one. */
const breakerLimits: BreakerLimits = {
  failureThreshold: 5,
  successThreshold: 1,
  openForMs: 5_000,
  halfOpenRequests: 1,
};
/** Most answers that are looked up, if the nearest are no longer cached. */
const maxTries = 3;

export interface SemanticMatch {
  answer: CachedAnswer;
  similarity: number;
}

export class SemanticSearch {
  readonly #call: CachedCall;
  readonly #config: CacheConfig;
  readonly #semantic: SemanticCacheConfig;
  readonly #embedder: Embedder;
  readonly #question: Question;
  #vector: Float32Array | null = null;

  private constructor(
    call: CachedCall,
    config: CacheConfig,
    semantic: SemanticCacheConfig,
    embedder: Embedder,
    asked: Question,
  ) {
    this.#call = call;
    this.#config = config;
    this.#semantic = semantic;
    this.#embedder = embedder;
    this.#question = asked;
  }

  /** null if the policy doesn't enable it, or the call has no question to compare. */
  static of(call: CachedCall, lookup: CacheLookup): SemanticSearch | null {
    const { config, route } = lookup;
    if (config.semantic === null || route.embedder === null) return null;
    const requested = question(lookup);
    return requested === null ? null : new SemanticSearch(call, config, config.semantic, route.embedder, requested);
  }

  get shadow(): boolean {
    return this.#semantic.shadow;
  }

  /**
   * Returns the answer to serve, or null. Never fails. `maxAgeMs`: the answer's maximum age, null for any. `final`: no
   * upstream call follows.
   */
  async find(maxAgeMs: number | null, final: boolean): Promise<SemanticMatch | null> {
    try {
      return await this.#find(maxAgeMs, final);
    } catch (cause) {
      this.#call.gateway.unexpected(cause, this.#call.client.requestId);
      return null;
    }
  }

  async #find(maxAgeMs: number | null, final: boolean): Promise<SemanticMatch | null> {
    const { record, gateway, route } = this.#call;
    const { cache } = gateway;
    const breaker = cache.breaker(route);
    if (!breaker.acquire(breakerLimits, cache.nowMs())) {
      record.semantic = { result: "paused", similarity: null };
      return null;
    }
    const { vector, over } = await this.#embed();
    let best: SemanticMatch | null = null;
    try {
      if (typeof vector === "string") {
        record.semantic = { result: vector, similarity: null };
        // A full budget or limit, or a provider already being avoided, is no new failure.
        if (vector === "refused" || vector === "paused") breaker.release();
        else breaker.failure(breakerLimits, cache.nowMs());
      } else {
        breaker.success(breakerLimits);
        this.#vector = vector;
        best = await this.#nearest(vector, maxAgeMs === null ? 0 : cache.nowMs() - maxAgeMs);
      }
    } finally {
      over(best !== null || final);
    }
    return best;
  }

  #embed(): Promise<Embedded> {
    const { record, gateway, client, surface, snapshot, route, identity } = this.#call;
    const { timeoutMs } = this.#semantic;
    const caller = { client, surface, snapshot, route, identity };
    // In shadow mode the comparison runs in parallel with the call, which decides the answer.
    return embed(
      { text: this.#question.text, embedder: this.#embedder, timeoutMs, limited: !this.shadow, record, caller },
      gateway,
    );
  }

  /** Records that the answer under this key answers this question. */
  keep(key: string): void {
    if (this.#vector === null) return;
    const { route, gateway } = this.#call;
    const { vectors, nowMs } = gateway.cache;
    const storedAtMs = nowMs();
    const { ttlMs } = this.#config;
    const entry = {
      partition: this.#question.partition,
      key,
      vector: this.#vector,
      storedAtMs,
      endsAtMs: storedAtMs + ttlMs,
    };
    vectors.add(route.config.id, entry, { ttlMs, maxEntries: this.#semantic.maxEntries });
  }

  async #nearest(vector: Float32Array, sinceMs: number): Promise<SemanticMatch | null> {
    const { route, gateway, record } = this.#call;
    const { store, vectors } = gateway.cache;
    const { id } = route.config;
    record.semantic = { result: "miss", similarity: null };
    for (let tries = 0; tries < maxTries; tries++) {
      const match = vectors.nearest(id, this.#question.partition, vector, sinceMs);
      if (match === null) return null;
      record.semantic = { result: "miss", similarity: match.similarity };
      if (match.similarity < this.#semantic.threshold) return null;
      const answer = await store.get(id, match.key);
      if (answer === null || answer.storedAtMs < sinceMs) {
        vectors.passOver(id, match.key);
        continue;
      }
      record.semantic = { result: this.shadow ? "would_hit" : "hit", similarity: match.similarity };
      return this.shadow ? null : { answer, similarity: match.similarity };
    }
    return null;
  }
}
