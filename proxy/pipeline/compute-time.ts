/** Server time, for self-hosted models that are priced by it. */
import type { Price } from "../config/price.ts";
import type { ProviderConfig } from "../config/provider.ts";
import type { Usage } from "../dialects/canonical.ts";

const rateOf = (price: Price | null): number | undefined => price?.uses?.["computeMillisecond"];

/** Adds the duration of an attempt to its usage. */
export function withComputeTime(usage: Usage, durationMs: number, price: Price | null): Usage {
  if (rateOf(price) === undefined) return usage;
  return { ...usage, units: { ...usage.units, computeMillisecond: Math.max(0, Math.ceil(durationMs)) } };
}

/** What a batch reports about its duration. */
export interface BatchTime {
  /** null if not reported. */
  durationMs: number | null;
  /** null if not reported. */
  requests: number | null;
}

/**
 * Adds the duration of a batch to its usage. Its requests run concurrently, so it occupies one server slot per request,
 * up to all slots.
 */
export function withBatchTime(usage: Usage, { durationMs, requests }: BatchTime, price: Price | null): Usage {
  if (durationMs === null || rateOf(price) === undefined) return usage;
  const places = Math.max(1, Math.min(requests ?? Number.POSITIVE_INFINITY, price?.computeCallsAtOnce ?? 1));
  return withComputeTime(usage, durationMs * places, price);
}

/**
 * Self-hosted servers have no separate price for batches, so the mode is dropped unless the price has a factor for it.
 */
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
