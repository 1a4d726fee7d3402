/**
 * Published prices: the dataset of @pydantic/genai-prices, as old as the package. Checked on every look-up, because
 * published tables contain slips of a thousandfold: what is out of range counts as unknown, never as a price.
 */
import { calcPrice } from "@pydantic/genai-prices";
import type { Price } from "../../proxy/config/provider.ts";

/** Price of a provider's model by its upstream name, or null where the table has none that can be believed. */
export type PriceTable = (provider: string, upstreamModel: string) => Price | null;

/** As the dataset has them: USD for a million tokens, one number or by size of the prompt. */
type Published = number | { base: number; tiers: { start: number; price: number }[] } | undefined;

/** Dearest that a million tokens are believed to cost, in USD. */
const dearestUsd = 2_000;
/** Output may cost this many times the input, and not less than a tenth of it unless it is free (embeddings). */
const widestRatio = 50;

const nano = (usd: number): number => Math.round(usd * 1_000_000_000);

function at(published: Published, promptTokens: number): number | undefined {
  if (published === undefined || typeof published === "number") return published;
  return published.tiers.filter((tier) => promptTokens > tier.start).at(-1)?.price ?? published.base;
}

type Rates = Pick<Price, "input" | "cachedInput" | "cacheWrite" | "output" | "reasoning">;

function ratesAt(published: Readonly<Record<string, Published>>, promptTokens: number): Rates | null {
  const input = at(published["input_mtok"], promptTokens);
  if (input === undefined) return null;
  const output = at(published["output_mtok"], promptTokens) ?? 0;
  const rates = {
    input,
    cachedInput: at(published["cache_read_mtok"], promptTokens) ?? input,
    cacheWrite: at(published["cache_write_mtok"], promptTokens) ?? input,
    output,
    reasoning: output,
  };
  return believable(rates)
    ? {
        input: nano(rates.input),
        cachedInput: nano(rates.cachedInput),
        cacheWrite: nano(rates.cacheWrite),
        output: nano(rates.output),
        reasoning: nano(rates.reasoning),
      }
    : null;
}

/** Pure: whether USD rates can be what a provider charges. */
export function believable(rates: Rates): boolean {
  const all = [rates.input, rates.cachedInput, rates.cacheWrite, rates.output];
  if (!all.every((rate) => Number.isFinite(rate) && rate >= 0 && rate <= dearestUsd)) return false;
  if (rates.cachedInput > rates.input || rates.cacheWrite > rates.input * widestRatio) return false;
  return (
    rates.output === 0 ||
    rates.input === 0 ||
    (rates.output <= rates.input * widestRatio && rates.output >= rates.input / 10)
  );
}

/** Prompt sizes from which other rates hold. */
function tierStarts(published: Readonly<Record<string, Published>>): number[] {
  const starts = Object.values(published).flatMap((one) =>
    typeof one === "object" ? one.tiers.map((tier) => tier.start) : [],
  );
  return [...new Set(starts)].sort((a, b) => a - b);
}

export function priceTable(now: Date): PriceTable {
  return (provider, upstreamModel) => {
    const found = calcPrice({ input_tokens: 1 }, upstreamModel, { providerId: provider, timestamp: now });
    if (found === null) return null;
    const published = found.model_price as Readonly<Record<string, Published>>;
    const base = ratesAt(published, 0);
    if (base === null) return null;
    const tiers = tierStarts(published).map((aboveTokens) => ({
      aboveTokens,
      rates: ratesAt(published, aboveTokens + 1),
    }));
    if (tiers.some((tier) => tier.rates === null || tier.aboveTokens < 1)) return null;
    return {
      ...base,
      tiers: tiers.map(({ aboveTokens, rates }) => ({ aboveTokens, ...(rates as Rates) })),
      source: "table",
    };
  };
}
