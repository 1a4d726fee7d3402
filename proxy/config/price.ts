/**
 * The contract's part on what models cost. Rates are integer nano-USD: for a million tokens, or for a thousand uses.
 * The units' names are the same in manifests, in the config, and in what is counted of a call (`Usage.units`).
 */
import { z } from "zod";
import { nanoUsd } from "./basics.ts";

/** Which of the base counts a token unit is a part of, and which base rate holds where the unit has none of its own. */
export const tokenUnits = {
  /** Written to the provider's cache for an hour. */
  cacheWrite1h: "cacheWrite",
  inputAudio: "input",
  inputImage: "input",
  inputVideo: "input",
  /** Parts of what was read from the provider's cache; inputAudio and inputImage include them. */
  cachedAudio: "cachedInput",
  cachedImage: "cachedInput",
  outputAudio: "output",
  outputImage: "output",
  outputVideo: "output",
} as const;
export type TokenUnit = keyof typeof tokenUnits;

/** What is charged by the use and never by tokens. Rates are nano-USD for a thousand. */
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
  "request",
] as const;
export type UseUnit = (typeof useUnits)[number];

export type BilledUnit = TokenUnit | UseUnit;

/** Unit → rate. An open record: a proxy passes over units that it doesn't count yet. */
const unitRates = z.record(z.string(), nanoUsd);

const rates = {
  /** nano-USD for a million tokens. */
  input: nanoUsd,
  cachedInput: nanoUsd,
  cacheWrite: nanoUsd,
  output: nanoUsd,
  reasoning: nanoUsd,
  /** Token unit → nano-USD for a million. A unit without a rate is charged at that of its base count. */
  units: unitRates.optional(),
};

export const price = z.object({
  ...rates,
  /** Above these many prompt tokens, these rates hold for the whole request. */
  tiers: z.array(z.object({ aboveTokens: z.int().min(1), ...rates })).default([]),
  /** Use unit → nano-USD for a thousand. What has no rate here can't be priced. */
  uses: unitRates.optional(),
  /**
   * Mode of processing, as `Usage.modes` names it (batch, flex, priority, fast, geo-us) → millionths by which all token
   * rates are multiplied: 500000 for half. A mode without an entry can't be priced.
   */
  multipliers: z.record(z.string(), z.int().min(0).max(1_000_000_000)).optional(),
  /** Tokens of the model's context window, where the table says it. */
  windowTokens: z.int().min(1).optional(),
  source: z.enum(["override", "table"]),
});
export type Price = z.output<typeof price>;
/** Token rates of one size of prompt. */
export type TokenRates = Pick<Price, "input" | "cachedInput" | "cacheWrite" | "output" | "reasoning" | "units">;
