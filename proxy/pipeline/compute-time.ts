/** Time at servers of one's own, for models whose price has it. */
import type { Price } from "../config/price.ts";
import type { ProviderConfig } from "../config/provider.ts";
import type { Usage } from "../dialects/canonical.ts";

const rateOf = (price: Price | null): number | undefined => price?.uses?.["computeMillisecond"];

/** With the time that an attempt took. */
export function withComputeTime(usage: Usage, durationMs: number, price: Price | null): Usage {
  if (rateOf(price) === undefined) return usage;
  return { ...usage, units: { ...usage.units, computeMillisecond: Math.max(0, Math.ceil(durationMs)) } };
}

/** What a batch says about the time that it took. */
export interface BatchTime {
  /** null if it does not say. */
  durationMs: number | null;
  /** null if it does not say. */
  requests: number | null;
}

/**
 * With the time that a batch took. Its requests run side by side: it takes as many places at the servers as it has
 * requests, up to all of them.
 */
export function withBatchTime(usage: Usage, { durationMs, requests }: BatchTime, price: Price | null): Usage {
  if (durationMs === null || rateOf(price) === undefined) return usage;
  const places = Math.max(1, Math.min(requests ?? Number.POSITIVE_INFINITY, price?.computeCallsAtOnce ?? 1));
  return withComputeTime(usage, durationMs * places, price);
}

/** Servers of one's own have no price for batches of its own: the mode says nothing, unless there is a factor for it. */
export const withoutBatchMode = (usage: Usage, price: Price | null): Usage =>
  rateOf(price) === undefined || price?.multipliers?.["batch"] !== undefined
    ? usage
    : { ...usage, modes: (usage.modes ?? []).filter((mode) => mode !== "batch") };

/** Whether a batch is not charged for its time, because it does not say how long it took. */
export const lacksTime = ({ durationMs }: BatchTime, price: Price | null): boolean =>
  durationMs === null && rateOf(price) !== undefined;

/** nano-USD of the longest attempt that the time limits allow. */
export const maxComputeCost = (price: Price | null, { timeouts }: Pick<ProviderConfig, "timeouts">): number =>
  Math.ceil(((rateOf(price) ?? 0) * timeouts.totalMs) / 1_000);
