/** What a proxy counts of a provider or a policy that somebody wants to be told of, and what it reports of it. */
import { z } from "zod";

/** Counts are over the last `windowMs`. The two times are bounds, null where nobody asks: what is above them is counted. */
export const watchConfig = z.object({
  windowMs: z.int().min(1),
  latencyMs: z.int().min(1).nullable(),
  firstTokenMs: z.int().min(1).nullable(),
});
export type WatchConfig = z.output<typeof watchConfig>;

/** In the order in which they lie in a window's slot. */
export const watchFigures = ["calls", "errors", "moved", "opened", "timed", "slow", "firstTokens", "late"] as const;
export type WatchFigure = (typeof watchFigures)[number];

const count = z.int().min(0);

export const watchReading = z.object({
  kind: z.enum(["LLMProvider", "RoutingPolicy"]),
  /** `namespace/name` */
  id: z.string(),
  config: watchConfig,
  counts: z.object({
    /** Attempts at a provider, calls of a policy. What the caller did wrong, and who hung up, is not among them. */
    calls: count,
    errors: count,
    /** Calls that another provider than the preferred one had to serve. Of policies. */
    moved: count,
    /** Times that a breaker opened. Of providers. */
    opened: count,
    /** Whole answers, and those of them that took longer than `latencyMs`. */
    timed: count,
    slow: count,
    /** Streams that began, and those of them whose first token came later than `firstTokenMs`. */
    firstTokens: count,
    late: count,
  } satisfies Record<WatchFigure, typeof count>),
});
export type WatchReading = z.output<typeof watchReading>;
