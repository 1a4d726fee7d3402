/**
 * Which price a model of an LLMProvider has: its own, or one from a table, with the installation's adjustments. Pure.
 */
import { decimalToNano } from "../../crds/quantity.ts";
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { Price, TokenRates } from "../../proxy/config/price.ts";
import { measuredPrice } from "./measured-price.ts";
import { own, problem } from "./outcome.ts";
import { priceOf, withUsualModes } from "./price.ts";
import { tableNames } from "./price-names.ts";
import type { Problem } from "./verdict.ts";
import type { CompileInput, PriceAdjustment } from "./world.ts";

type ModelSpec = LLMProviderSpec["models"][number];
export type PriceFinder = (model: ModelSpec) => Price | null;

const millionth = 1_000_000n;

/** Rounded up, so that no rate becomes zero. */
const scaled = (rate: number, millionths: number): number =>
  Number((BigInt(rate) * BigInt(millionths) + millionth - 1n) / millionth);

const scaledAll = (rates: Readonly<Record<string, number>>, millionths: number): Record<string, number> =>
  Object.fromEntries(Object.entries(rates).map(([unit, rate]) => [unit, scaled(rate, millionths)]));

function scaledTokens<Rates extends TokenRates>(rates: Rates, millionths: number): Rates {
  return {
    ...rates,
    input: scaled(rates.input, millionths),
    cachedInput: scaled(rates.cachedInput, millionths),
    cacheWrite: scaled(rates.cacheWrite, millionths),
    output: scaled(rates.output, millionths),
    reasoning: scaled(rates.reasoning, millionths),
    ...(rates.units === undefined ? {} : { units: scaledAll(rates.units, millionths) }),
  };
}

/** A price with all rates multiplied by the same factor. */
export function scaledPrice(price: Price, millionths: number): Price {
  if (millionths === 1_000_000) return price;
  return {
    ...scaledTokens(price, millionths),
    tiers: price.tiers.map((tier) => scaledTokens(tier, millionths)),
    ...(price.uses === undefined ? {} : { uses: scaledAll(price.uses, millionths) }),
    ...(price.images === undefined
      ? {}
      : { images: price.images.map((image) => ({ ...image, rate: scaled(image.rate, millionths) })) }),
  };
}

/** 12.5 % → 125,000 millionths. */
const percent = (text: string | undefined): number => Math.round(decimalToNano(text ?? "0") / 100_000);

/** What remains of a list price after the discount, with the markup on that. */
function adjustment({ discountPercent, markupPercent }: PriceAdjustment): number {
  return Math.round(((1_000_000 - percent(discountPercent)) * (10_000_000 + percent(markupPercent) * 10)) / 10_000_000);
}

/** Fine-tuned models cost more than their base model, by the factor of this name. It is not a mode of a call. */
function asFineTuned(price: Price, fineTuned: boolean): Price {
  const { "fine-tuned": factor, ...multipliers } = price.multipliers ?? {};
  if (factor === undefined) return price;
  return scaledPrice({ ...price, multipliers }, fineTuned ? factor : 1_000_000);
}

/** Tables in which prices are looked up, most specific first. */
function sourcesOf(
  { pricing, endpoint }: LLMProviderSpec,
  capabilities: Capabilities,
  { priceSources }: CompileInput,
  problems: Problem[],
): string[] {
  const from = pricing?.from;
  if (from !== undefined && priceSources !== undefined && !priceSources.has(from))
    problems.push(
      problem("Invalid", `spec.pricing.from: the price table has no provider ${from}; docs/prices.md lists them`, [
        "spec",
        "pricing",
        "from",
      ]),
    );
  const named = from ?? capabilities.pricesFrom ?? (endpoint === undefined ? null : priceSources?.byEndpoint(endpoint));
  return named === null || named === undefined ? [] : [named];
}

function firstOf<Item>(items: readonly Item[], find: (item: Item) => Price | null): Price | null {
  for (const item of items) {
    const price = find(item);
    if (price !== null) return price;
  }
  return null;
}

export function priceFinder(
  spec: LLMProviderSpec,
  capabilities: Capabilities,
  input: CompileInput,
  problems: Problem[],
): PriceFinder {
  const { prices = () => null, settings, priceSources } = input;
  const installed = own(settings.prices ?? {}, spec.type) ?? {};
  const sources = sourcesOf(spec, capabilities, input, problems);
  const factor = adjustment({ ...settings.pricing, ...spec.pricing });

  const isFineTuned = (name: string): boolean =>
    capabilities.fineTunedNames !== undefined && new RegExp(capabilities.fineTunedNames).test(name);

  /** `table/model` names a particular table. */
  const tablesFor = (name: string): string[] => {
    const [table = "", ...rest] = name.split("/");
    return rest.length > 0 && priceSources?.has(table) === true ? [...sources, table] : sources;
  };
  const looked = (name: string): Price | null => {
    const names = tableNames(name, capabilities.priceNames);
    return (
      firstOf([name, ...names], (candidate) => own(installed, candidate) ?? null) ??
      firstOf(tablesFor(name), (table) => firstOf(names, (candidate) => prices(table, candidate))) ??
      firstOf(names, (candidate) => measuredPrice(capabilities, candidate))
    );
  };

  return (model) => {
    const name = model.priceAs ?? model.upstream ?? model.name;
    const plain = tableNames(name, capabilities.priceNames).at(-1) ?? name;
    if (model.price !== undefined)
      return asFineTuned(withUsualModes(priceOf(model.price), plain, capabilities.priceModes), false);
    const price = looked(name);
    if (price === null) return null;
    return scaledPrice(asFineTuned(withUsualModes(price, plain, capabilities.priceModes), isFineTuned(name)), factor);
  };
}
