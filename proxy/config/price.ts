/**
 * Model prices in the contract. Rates are integer nano-USD, per million tokens or per thousand uses. Units have the
 * same names in manifests, in the config and in a call's usage (`Usage.units`).
 */
import { z } from "zod";
import { nanoUsd } from "./basics.ts";

/** Token unit → the base count that includes it, whose rate applies if the unit has none of its own. */
export const tokenUnits = {
  /** Written to the provider's cache for one hour. */
  cacheWrite1h: "cacheWrite",
  inputAudio: "input",
  inputImage: "input",
  inputVideo: "input",
  /** Included in tokens read from the provider's cache, and in inputAudio and inputImage. */
  cachedAudio: "cachedInput",
  cachedImage: "cachedInput",
  outputAudio: "output",
  outputImage: "output",
  outputVideo: "output",
} as const;
export type TokenUnit = keyof typeof tokenUnits;

/** Charged per use, never by tokens. Rates are nano-USD per thousand uses. */
export const useUnits = [
  "webSearch",
  "fileSearch",
  "mapsSearch",
  "webFetch",
  /** One container or session. */
  "codeExecution",
  "imageGeneration",
  "documentPage",
  "annotatedPage",
  "audioSecond",
  /** A millisecond that a call takes at a self-hosted server. */
  "computeMillisecond",
  /** An image that the images API makes; `imageGeneration` is the tool of a chat. */
  "image",
  /** A character that is read aloud. */
  "character",
  /** A query with up to 100 documents. */
  "searchUnit",
  "request",
] as const;
export type UseUnit = (typeof useUnits)[number];

/** Counted for every call of their kind, whether it is charged by them or by tokens. */
export const measures: ReadonlySet<UseUnit> = new Set<UseUnit>(["image", "character", "searchUnit", "audioSecond"]);

export type BilledUnit = TokenUnit | UseUnit;

/** Unit → rate. An open record: a proxy ignores units that it doesn't count yet. */
const unitRates = z.record(z.string(), nanoUsd);

const rates = {
  /** nano-USD per million tokens. */
  input: nanoUsd,
  cachedInput: nanoUsd,
  cacheWrite: nanoUsd,
  output: nanoUsd,
  reasoning: nanoUsd,
  /** Token unit → nano-USD per million. A unit without a rate is charged at the rate of its base count. */
  units: unitRates.optional(),
};

export const price = z.object({
  ...rates,
  /** Above this number of prompt tokens, the tier's rates apply to the whole request. */
  tiers: z.array(z.object({ aboveTokens: z.int().min(1), ...rates })).default([]),
  /** Use unit → nano-USD per thousand. A use without a rate here can't be priced. */
  uses: unitRates.optional(),
  /** How many calls share the servers whose time `computeMillisecond` prices. */
  computeCallsAtOnce: z.int().min(1).optional(),
  /**
   * nano-USD per thousand images of a size and quality. The first entry that fits counts, else the use unit `image`.
   */
  images: z.array(z.object({ size: z.string().optional(), quality: z.string().optional(), rate: nanoUsd })).optional(),
  /** Set if only uses have a known price, and tokens have none. */
  tokensUnknown: z.boolean().optional(),
  /**
   * Processing mode, as in `Usage.modes` (batch, flex, priority, fast, geo-us) → factor for all token rates in
   * millionths: 500000 means half. A mode without an entry can't be priced.
   */
  multipliers: z.record(z.string(), z.int().min(0).max(1_000_000_000)).optional(),
  /** Size of the model's context window in tokens, if the table has it. */
  windowTokens: z.int().min(1).optional(),
  source: z.enum(["override", "table"]),
});
export type Price = z.output<typeof price>;
/** Token rates for one range of prompt sizes. */
export type TokenRates = Pick<Price, "input" | "cachedInput" | "cacheWrite" | "output" | "reasoning" | "units">;

/** The rates for a prompt of this size. */
export function ratesFor(price: Price, promptTokens: number): TokenRates {
  let rates: TokenRates = price;
  const { tiers } = price;
  // By index, as every call comes here.
  for (let index = 0; index < tiers.length; index++) {
    const tier = tiers[index];
    if (tier !== undefined && promptTokens > tier.aboveTokens) rates = tier;
  }
  return rates;
}
