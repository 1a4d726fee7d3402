/** The contract's part on the cache of answers. */
import { z } from "zod";
import { id, millis } from "./basics.ts";

/** What of a request may be left out of a cache's key. */
export const cacheKeyPart = z.enum(["Temperature", "TopP", "MaxTokens", "Seed", "Stop", "User"]);
export type CacheKeyPart = z.output<typeof cacheKeyPart>;

/** Answers to questions that mean the same. */
export const semanticCacheConfig = z.object({
  /** What makes vectors of texts. */
  provider: id,
  model: z.string(),
  /** Least cosine similarity of a hit. */
  threshold: z.number().min(0).max(1),
  /** Similarities are measured, and nothing is served by them. */
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
