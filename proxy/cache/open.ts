/** The store of cached answers that the settings configure. */
import type { Registry } from "prom-client";
import { stateTlsOf } from "../fleet/open.ts";
import { type Client, connectRedis } from "../fleet/redis-client.ts";
import { registerCounter } from "../metrics/register.ts";
import { Sealer } from "../seal/seal.ts";
import { memoryStore } from "./memory.ts";
import { RedisCache, type StoreTrouble } from "./redis.ts";
import { SharedVectors } from "./shared-vectors.ts";
import type { CacheStore } from "./store.ts";
import { memoryVectors, type VectorIndex } from "./vectors.ts";

export interface CacheSettings {
  cacheStore: "Memory" | "Shared";
  cacheBytes: number;
  /** "" for the store at stateUrl, with its password and certificates. */
  cacheUrl: string;
  cachePassword: string;
  cacheCa: string;
  cacheCert?: string;
  cacheKey?: string;
  stateUrl: string;
  statePassword: string;
  stateCa: string;
  stateCert?: string;
  stateKey?: string;
  sealingKeys: string;
}

export interface OpenedCache {
  store: CacheStore;
  vectors: VectorIndex;
  register(registry: Registry): void;
}

/** A password is sent only to its own store. */
function connected(settings: CacheSettings): Client {
  const { cacheUrl, cachePassword, cacheCa, cacheCert = "", cacheKey = "", stateUrl, statePassword } = settings;
  if (cacheUrl === "") return connectRedis(stateUrl, statePassword || null, stateTlsOf(settings));
  return connectRedis(cacheUrl, cachePassword || null, { ca: cacheCa, cert: cacheCert, key: cacheKey });
}

/** Throws if a shared store can't be set up. A store that can't be reached is no error. */
export function openCache(settings: CacheSettings, nowMs: () => number): OpenedCache {
  const vectors = memoryVectors(settings.cacheBytes, nowMs);
  if (settings.cacheStore === "Memory")
    return { store: memoryStore(settings.cacheBytes, nowMs), vectors, register: () => undefined };
  const failures = registerCounter(null, "sluice_cache_store_failures_total");
  const sealer = new Sealer(settings.sealingKeys);
  // A separate connection: large answers must not delay the counters of limits.
  const client = connected(settings);
  const trouble = (reason: StoreTrouble): void => failures.inc({ reason });
  const store = new RedisCache(client, sealer, nowMs, trouble);
  return {
    store,
    vectors: new SharedVectors(vectors, client, sealer, nowMs, trouble),
    register: (registry) => registry.registerMetric(failures),
  };
}
