/** What a call costs, in integer nano-USD. Pure. */
import type { Price } from "../config/provider.ts";
import type { Usage } from "../dialects/canonical.ts";

type Rates = Omit<Price, "tiers" | "source">;

const perMillion = 1_000_000;

/** nano-USD times a million, exact; null where it is too large to be so. */
function exact(usage: Usage, tier: Rates, fresh: number, plain: number): number | null {
  const sum =
    fresh * tier.input +
    usage.cachedPrompt * tier.cachedInput +
    usage.cacheWrite * tier.cacheWrite +
    plain * tier.output +
    usage.reasoning * tier.reasoning;
  // All terms are at least 0, so that none of them is larger than what they come to.
  return Number.isSafeInteger(sum) ? sum : null;
}

/** Cost in nano-USD from a model's price; null where there is none. Rounded up to the next nano-USD. */
export function costNanoUsd(usage: Usage, price: Price | null): number | null {
  if (price === null) return null;
  let tier: Rates = price;
  for (const one of price.tiers) if (usage.prompt > one.aboveTokens) tier = one;
  const fresh = Math.max(0, usage.prompt - usage.cachedPrompt - usage.cacheWrite);
  const plain = Math.max(0, usage.completion - usage.reasoning);
  const sum = exact(usage, tier, fresh, plain);
  if (sum !== null) return (sum - (sum % perMillion)) / perMillion + (sum % perMillion > 0 ? 1 : 0);
  const terms: [number, number][] = [
    [fresh, tier.input],
    [usage.cachedPrompt, tier.cachedInput],
    [usage.cacheWrite, tier.cacheWrite],
    [plain, tier.output],
    [usage.reasoning, tier.reasoning],
  ];
  const total = terms.reduce((all, [tokens, nano]) => all + BigInt(tokens) * BigInt(nano), 0n);
  return Number((total + 999_999n) / 1_000_000n);
}
