/**
 * Published prices: the dataset of @pydantic/genai-prices, as of the package's release. Checked on every look-up,
 * because published tables contain thousandfold errors: a price out of range counts as unknown, never as a price.
 */
import { calcPrice, findProvider } from "@pydantic/genai-prices";
import type { Price, TokenRates, TokenUnit, UseUnit } from "../../proxy/config/price.ts";

/** Price of a provider's model by its upstream name, or null if the table has no plausible one. */
export type PriceTable = (provider: string, upstreamModel: string) => Price | null;

/** As in the dataset: USD per million tokens, one number or by prompt size. */
type Published = number | { base: number; tiers: { start: number; price: number }[] } | undefined;

/** Highest plausible price of a million tokens, in USD. */
const dearestUsd = 2_000;
/** Output may cost up to this many times the input, and no less than a tenth of it unless it is free (embeddings). */
const widestRatio = 50;

const nano = (usd: number): number => Math.round(usd * 1_000_000_000);

function at(published: Published, promptTokens: number): number | undefined {
  if (published === undefined || typeof published === "number") return published;
  return published.tiers.filter((tier) => promptTokens > tier.start).at(-1)?.price ?? published.base;
}

/** The dataset's names of token units. */
const publishedUnits: Readonly<Record<string, TokenUnit>> = {
  cache_write_1h_mtok: "cacheWrite1h",
  input_audio_mtok: "inputAudio",
  input_image_mtok: "inputImage",
  input_video_mtok: "inputVideo",
  cache_audio_read_mtok: "cachedAudio",
  cache_image_read_mtok: "cachedImage",
  output_audio_mtok: "outputAudio",
  output_image_mtok: "outputImage",
  output_video_mtok: "outputVideo",
};
/** The dataset's names of uses, and how many of its own unit a thousand uses are: an hour is 3,600 seconds. */
const publishedUses: Readonly<Record<string, readonly [unit: UseUnit, share: number]>> = {
  web_searches_kcount: ["webSearch", 1],
  storage_searches_kcount: ["fileSearch", 1],
  requests_kcount: ["request", 1],
  input_document_kpages: ["documentPage", 1],
  input_annotated_document_kpages: ["annotatedPage", 1],
  audio_hours: ["audioSecond", 1_000 / 3_600],
  input_audio_hours: ["audioSecond", 1_000 / 3_600],
};
/** Highest plausible price of a thousand uses, or an hour, in USD. */
const dearestUses = 500;

type Rates = Pick<Price, "input" | "cachedInput" | "cacheWrite" | "output" | "reasoning">;
type Found = Readonly<Record<string, Published>>;

/** null if one of the rates can't be what the provider charges. */
function unitsAt(published: Found, promptTokens: number): Record<string, number> | null {
  const units: Record<string, number> = {};
  for (const [name, unit] of Object.entries(publishedUnits)) {
    const usd = at(published[name], promptTokens);
    if (usd === undefined) continue;
    if (!inRange(usd, dearestUsd)) return null;
    units[unit] = nano(usd);
  }
  return units;
}

function usesIn(published: Found): Record<string, number> | null {
  const uses: Record<string, number> = {};
  for (const [name, [unit, share]] of Object.entries(publishedUses)) {
    const usd = at(published[name], 0);
    if (usd === undefined) continue;
    if (!inRange(usd, dearestUses)) return null;
    uses[unit] = nano(usd * share);
  }
  return uses;
}

const orAbsent = <Name extends string>(name: Name, rates: Record<string, number>) =>
  (Object.keys(rates).length === 0 ? {} : { [name]: rates }) as { [name in Name]?: Record<string, number> };

function ratesAt(published: Found, promptTokens: number): TokenRates | null {
  const input = at(published["input_mtok"], promptTokens);
  // If a model is sold only by other units, such as hours of audio, its cost by tokens is unknown.
  if (input === undefined) return null;
  const output = at(published["output_mtok"], promptTokens) ?? 0;
  const rates = {
    input,
    cachedInput: at(published["cache_read_mtok"], promptTokens) ?? input,
    cacheWrite: at(published["cache_write_mtok"], promptTokens) ?? input,
    output,
    reasoning: output,
  };
  const units = unitsAt(published, promptTokens);
  return units !== null && believable(rates)
    ? {
        input: nano(rates.input),
        cachedInput: nano(rates.cachedInput),
        cacheWrite: nano(rates.cacheWrite),
        output: nano(rates.output),
        reasoning: nano(rates.reasoning),
        ...orAbsent("units", units),
      }
    : null;
}

const inRange = (usd: number, dearest: number): boolean => Number.isFinite(usd) && usd >= 0 && usd <= dearest;

/** Pure: whether USD rates can be what a provider charges. */
export function believable(rates: Rates): boolean {
  const all = [rates.input, rates.cachedInput, rates.cacheWrite, rates.output];
  if (!all.every((rate) => inRange(rate, dearestUsd))) return false;
  if (rates.cachedInput > rates.input || rates.cacheWrite > rates.input * widestRatio) return false;
  return (
    rates.output === 0 ||
    rates.input === 0 ||
    (rates.output <= rates.input * widestRatio && rates.output >= rates.input / 10)
  );
}

/** Prompt sizes from which other rates apply. */
function tierStarts(published: Found): number[] {
  const starts = Object.values(published).flatMap((rate) =>
    typeof rate === "object" ? rate.tiers.map((tier) => tier.start) : [],
  );
  return [...new Set(starts)].sort((a, b) => a - b);
}

const sizeForm = /(?<![a-z0-9])(\d+x)?\d+(\.\d+)?b(?![a-z0-9])/i;
const versionForm = /-v(\d+)(?=$|[:.-])/i;

/** The dataset matches parts of names, so it may take a model of another size or version for one that it knows. */
function isAnotherModel(name: string, priced: string): boolean {
  const [size, version, foundVersion] = [sizeForm.exec(name), versionForm.exec(name), versionForm.exec(priced)];
  if (size !== null && !priced.toLowerCase().includes(size[0].toLowerCase())) return true;
  return version !== null && foundVersion !== null && version[1] !== foundVersion[1];
}

export function priceTable(now: Date): PriceTable {
  return (provider, upstreamModel) => {
    const match = calcPrice({}, upstreamModel, { providerId: provider, timestamp: now });
    const usable = match === null || isAnotherModel(upstreamModel, match.model.id) ? null : match;
    const price = usable === null ? null : priceIn(usable.model_price);
    const windowTokens = usable?.model.context_window;
    return price === null || windowTokens === undefined ? price : { ...price, windowTokens };
  };
}

const freeTokens = { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0 };

/** A model's price from its entry in the dataset; null if it is not plausible. */
function priceIn(published: Found): Price | null {
  const uses = usesIn(published);
  const base = ratesAt(published, 0);
  if (uses === null) return null;
  if (base === null && published["input_mtok"] === undefined && Object.keys(uses).length > 0)
    return { ...freeTokens, tiers: [], uses, tokensUnknown: true, source: "table" };
  if (base === null) return null;
  const tiers = tierStarts(published).map((aboveTokens) => ({
    aboveTokens,
    rates: ratesAt(published, aboveTokens + 1),
  }));
  if (tiers.some((tier) => tier.rates === null || tier.aboveTokens < 1)) return null;
  return {
    ...base,
    tiers: tiers.map(({ aboveTokens, rates }) => ({ aboveTokens, ...(rates as TokenRates) })),
    ...orAbsent("uses", uses),
    source: "table",
  };
}

/** Providers of the dataset, by exact name and by API address. */
export const priceSources = {
  has: (provider: string): boolean => findProvider({ providerId: provider })?.id === provider,
  byEndpoint: (url: string): string | null => findProvider({ providerApiUrl: url })?.id ?? null,
};
