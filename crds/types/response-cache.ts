/** `RoutingPolicy.spec.cache`: answers that are reused without asking a provider. */
import { z } from "zod";
import { decimal, timer } from "./scalars.ts";
import { semanticCache } from "./semantic-cache.ts";

const parts = ["Model", "Prompt", "Temperature", "TopP", "MaxTokens", "Seed", "Stop", "User"] as const;

export const responseCache = z
  .strictObject({
    ttl: timer.default("1h").describe("How long an answer is served from the cache."),
    maxEntries: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe(
        "Largest number of answers that a proxy keeps in memory for this policy. The least recently used are removed first.",
      ),
    scope: z
      .enum(["ApiKey", "User", "Team", "Namespace", "Shared"])
      .default("Namespace")
      .describe(
        "Who shares answers: callers with the same key, user, team or namespace, or everyone who may use this policy.",
      ),
    key: z
      .array(z.enum(parts))
      .min(1)
      .max(parts.length)
      .default([...parts])
      .meta({
        listType: "set",
        cel: [
          {
            rule: "'Model' in self && 'Prompt' in self",
            message: "key must contain Model and Prompt; without them answers would be mixed up",
          },
        ],
      })
      .describe("What must be equal for a cached answer to be served. Parameters that have no name here always count."),
    when: z
      .strictObject({
        temperatureAtMost: decimal
          .optional()
          .describe(
            'Only calls with a temperature of at most this, such as "0"; a call without one counts as 1. Embeddings have none and always pass.',
          ),
        maxTokensBelow: z
          .int()
          .min(1)
          .max(10_000_000)
          .optional()
          .describe("Only calls whose token limit is below this. Calls without a limit are excluded."),
      })
      .prefault({})
      .describe("Which calls are answered from the cache."),
    semantic: semanticCache.optional(),
  })
  .describe("Serves repeated calls from a cache. Default: off.");
