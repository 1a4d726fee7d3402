/** What a proxy counts for a provider or policy that alerts watch, and how it reports the counts. */
import { z } from "zod";

/**
 * Counts cover the last `windowMs`. `latencyMs` and `firstTokenMs` are thresholds: slower answers are counted. null if
 * not watched.
 */
export const watchConfig = z.object({
  windowMs: z.int().min(1),
  latencyMs: z.int().min(1).nullable(),
  firstTokenMs: z.int().min(1).nullable(),
});
export type WatchConfig = z.output<typeof watchConfig>;

/** In the order of a window's slots. */
export const watchFigures = ["calls", "errors", "moved", "opened", "timed", "slow", "firstTokens", "late"] as const;
export type WatchFigure = (typeof watchFigures)[number];

const count = z.int().min(0);

export const watchReading = z.object({
  kind: z.enum(["LLMProvider", "RoutingPolicy"]),
  /** `namespace/name` */
  id: z.string(),
  config: watchConfig,
  counts: z.object({
    /** Attempts at a provider, or calls of a policy. Callers' own errors and abandoned calls don't count. */
    calls: count,
    errors: count,
    /** Policies only: calls that a provider other than the preferred one had to serve. */
    moved: count,
    /** Providers only: how often a breaker opened. */
    opened: count,
    /** Complete answers, and those slower than `latencyMs`. */
    timed: count,
    slow: count,
    /** Streams that started, and those whose first token took longer than `firstTokenMs`. */
    firstTokens: count,
    late: count,
  } satisfies Record<WatchFigure, typeof count>),
});
export type WatchReading = z.output<typeof watchReading>;
