/** What a call costs, in integer nano-USD. Pure. */
import type { Price } from "../config/schema.ts";
import type { Usage } from "../dialects/canonical.ts";

/** Cost in nano-USD from a model's price; null where there is none. Rounded up to the next nano-USD. */
export function costNanoUsd(usage: Usage, price: Price | null): number | null {
  if (price === null) return null;
  const tier = price.tiers.filter((one) => usage.prompt > one.aboveTokens).at(-1) ?? price;
  const fresh = Math.max(0, usage.prompt - usage.cachedPrompt - usage.cacheWrite);
  const parts: [number, number][] = [
    [fresh, tier.input],
    [usage.cachedPrompt, tier.cachedInput],
    [usage.cacheWrite, tier.cacheWrite],
    [Math.max(0, usage.completion - usage.reasoning), tier.output],
    [usage.reasoning, tier.reasoning],
  ];
  const total = parts.reduce((sum, [tokens, perMillion]) => sum + BigInt(tokens) * BigInt(perMillion), 0n);
  return Number((total + 999_999n) / 1_000_000n);
}
