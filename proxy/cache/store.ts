/** Where cached answers are. One interface, so that memory and Redis can't be told apart by what uses them. */
import type { Buffer } from "node:buffer";

/** An answer as the gateway made it, before whatever filters follow on its way to a client. */
export interface CachedAnswer {
  /** A whole JSON body, or the bytes of a whole stream. */
  body: Buffer;
  storedAtMs: number;
  /** Target's name, for X-Provider-Used. */
  target: string;
  /** `namespace/name` of the provider. */
  provider: string;
  model: string;
  upstreamModel: string;
  /** Parameters that the provider lacks and that were left out. */
  dropped: string[];
  /** What the call cost, which a hit saves; null where the model has no price. */
  costNanoUsd: number | null;
}

export interface CacheStore {
  /** null: not there, too old, or the store can't be reached: a cache never fails a call. */
  get(route: string, key: string): CachedAnswer | null | Promise<CachedAnswer | null>;
  /** Never fails; what can't be kept is not kept. */
  set(route: string, key: string, answer: CachedAnswer, limits: { ttlMs: number; maxEntries: number }): void;
  /** Forgets routes that are no longer configured. */
  keep(routes: ReadonlySet<string>): void;
  size(): { entries: number; bytes: number };
  close(): Promise<void>;
}
