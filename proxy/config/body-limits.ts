/** What a request body may have besides its size. */
import { z } from "zod";

export const bodyLimits = z.object({
  /** Entries of each list of messages, items, prompts or documents. Anthropic accepts 100,000 messages. */
  entries: z.int().min(1).max(1_000_000).default(100_000),
  tools: z.int().min(1).max(100_000).default(10_000),
  jsonDepth: z.int().min(8).max(512).default(128),
});
export type BodyLimits = z.output<typeof bodyLimits>;

export const defaultBodyLimits: BodyLimits = bodyLimits.parse({});
