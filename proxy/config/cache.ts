/** The response cache in the contract. */
import { z } from "zod";
import { id, millis } from "./basics.ts";

/** Parts of a request that may be left out of the cache key. */
export const cacheKeyPart = z.enum(["Temperature", "TopP", "MaxTokens", "Seed", "Stop", "User"]);
export type CacheKeyPart = z.output<typeof cacheKeyPart>;

/** Semantic caching: serves answers to questions with the same meaning. */
export const semanticCacheConfig = z.object({
  /** The provider of the embeddings. */
  provider: id,
  model: z.string(),
  /** Lowest cosine similarity that counts as a hit. */
  threshold: z.number().min(0).max(1),
  /** Whether similarities are only measured, and nothing is served by them. */
  shadow: z.boolean(),
  timeoutMs: millis,
  maxEntries: z.int().min(1),
});
export type SemanticCacheConfig = z.output<typeof semanticCacheConfig>;

export const cacheConfig = z.object({
  ttlMs: millis,
  maxEntries: z.int().min(1),
  scope: z.enum(["ApiKey", "User", "Team", "Namespace", "Shared"]),
  ignore: z.array(cacheKeyPart),
  temperatureAtMost: z.number().nullable(),
  maxTokensBelow: z.int().nullable(),
  semantic: semanticCacheConfig.nullable().default(null),
});
export type CacheConfig = z.output<typeof cacheConfig>;
