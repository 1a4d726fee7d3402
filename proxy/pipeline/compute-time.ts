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

/** nano-USD of the longest attempt that the time limits allow. */
export const maxComputeCost = (price: Price | null, { timeouts }: Pick<ProviderConfig, "timeouts">): number =>
  Math.ceil(((rateOf(price) ?? 0) * timeouts.totalMs) / 1_000);
