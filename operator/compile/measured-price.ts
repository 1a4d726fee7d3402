/** Prices that a provider declares for models that are not charged by tokens. Pure. */
import type { Capabilities, MeasuredPrice } from "../../proxy/config/capabilities.ts";
import type { Price } from "../../proxy/config/price.ts";

const perThousand = (usd: number): number => Math.round(usd * 1_000_000_000_000);

const rate = (unit: string, usd: number | undefined): Record<string, number> =>
  usd === undefined ? {} : { [unit]: perThousand(usd) };

function usesOf({
  perMillionCharacters,
  perHourOfAudio,
  perThousandSearchUnits,
}: MeasuredPrice): Record<string, number> {
  return {
    ...rate("character", perMillionCharacters === undefined ? undefined : perMillionCharacters / 1_000_000),
    ...rate("audioSecond", perHourOfAudio === undefined ? undefined : perHourOfAudio / 3_600),
    ...rate("searchUnit", perThousandSearchUnits === undefined ? undefined : perThousandSearchUnits / 1_000),
  };
}

/** Price of a model by one of its names in price tables; null if the provider declares none. */
export function measuredPrice({ measuredPrices = [] }: Capabilities, name: string): Price | null {
  const measured = measuredPrices.find(({ models }) => new RegExp(models).test(name));
  if (measured === undefined) return null;
  const images = measured.perImage?.map(({ size, quality, usd }) => ({ size, quality, rate: perThousand(usd) }));
  return {
    ...{ input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, tiers: [] },
    uses: usesOf(measured),
    ...(images === undefined ? {} : { images }),
    source: "table",
  };
}
