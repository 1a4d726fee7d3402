/** Where cached answers are stored. Memory and Redis share this interface, so callers can't tell them apart. */
import type { Buffer } from "node:buffer";

/** An answer as the gateway made it, before the filters that follow on its way to a client. */
export interface CachedAnswer {
  /** A whole JSON body, or the bytes of a whole stream. */
  body: Buffer;
  storedAtMs: number;
  /** The target's name, for X-Provider-Used. */
  target: string;
  /** `namespace/name` of the provider. */
  provider: string;
  model: string;
  upstreamModel: string;
  /** Parameters that were dropped because the provider lacks them. */
  dropped: string[];
  /** Cost of the call, which a hit saves; null if the model has no price. */
  costNanoUsd: number | null;
}

export interface CacheStore {
  /** null if it is absent, too old, or the store can't be reached: the cache never fails a call. */
  get(route: string, key: string): CachedAnswer | null | Promise<CachedAnswer | null>;
  /** Never fails; an answer that can't be stored is dropped. */
  set(route: string, key: string, answer: CachedAnswer, limits: { ttlMs: number; maxEntries: number }): void;
  /** Forgets routes that are no longer configured. */
  keep(routes: ReadonlySet<string>): void;
  size(): { entries: number; bytes: number };
  close(): Promise<void>;
}
