/** A model's price as people write it: decimal USD. Field names match the config's units (proxy/config/price.ts). */
import { z } from "zod";
import { decimal } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

const rate = (text: string) => decimal.optional().describe(text);

/** Rates that depend on the size of the prompt, if a price has context tiers. */
const tokenRates = {
  inputPerMillion: decimal.describe("USD per million input tokens."),
  cachedInputPerMillion: rate("USD for a million input tokens read from the provider's cache. Absent: as input."),
  cacheWritePerMillion: rate("USD for a million input tokens written to the provider's cache. Absent: as input."),
  cacheWrite1hPerMillion: rate(
    "USD for a million input tokens written to the provider's cache for an hour. Absent: twice the input, or cacheWritePerMillion if that is more.",
  ),
  outputPerMillion: decimal.describe("USD for a million output tokens, reasoning included. 0 for embeddings."),
  reasoningPerMillion: rate("USD for a million reasoning tokens, where they cost other than output."),
  inputAudioPerMillion: rate("USD for a million audio tokens of the prompt. Absent: as input."),
  inputImagePerMillion: rate("USD for a million image tokens of the prompt. Absent: as input."),
  inputVideoPerMillion: rate("USD for a million video tokens of the prompt. Absent: as input."),
  cachedAudioPerMillion: rate(
    "USD for a million audio tokens read from the provider's cache. Absent: as inputAudioPerMillion, or as cached input.",
  ),
  cachedImagePerMillion: rate(
    "USD for a million image tokens read from the provider's cache. Absent: as inputImagePerMillion, or as cached input.",
  ),
  outputAudioPerMillion: rate("USD for a million audio tokens of the answer. Absent: as output."),
  outputImagePerMillion: rate("USD for a million image tokens of the answer. Absent: as output."),
  outputVideoPerMillion: rate("USD for a million video tokens of the answer. Absent: as output."),
};

const useRates = {
  webSearchPerThousand: rate("USD for a thousand web searches of the provider's own tool."),
  fileSearchPerThousand: rate("USD for a thousand file searches of the provider's own tool."),
  mapsSearchPerThousand: rate("USD for a thousand map searches of the provider's own tool."),
  webFetchPerThousand: rate("USD for a thousand page fetches of the provider's own tool. 0 where only tokens cost."),
  codeExecutionPerThousand: rate("USD for a thousand containers or sessions of the provider's code tool."),
  imageGenerationPerThousand: rate("USD for a thousand images that the provider's own tool makes."),
  documentPagePerThousand: rate("USD for a thousand pages of a document that is read."),
  annotatedPagePerThousand: rate("USD for a thousand pages of a document that is read and annotated."),
  requestPerThousand: rate("USD for a thousand calls, besides what their tokens cost."),
  imagePerThousand: rate("USD for a thousand images of the images API, where it charges by image and not by tokens."),
  charactersPerMillion: rate("USD for a million characters that are read aloud, where speech is charged by them."),
  searchUnitPerThousand: rate("USD for a thousand search units of reranking: queries with up to 100 documents each."),
  audioPerHour: rate("USD for an hour of audio, where audio is charged by its length."),
};

const multiplier = worded(
  shortText,
  /^(0|[1-9][0-9]{0,2})(\.[0-9]{1,6})?$/,
  'must be a factor in quotes below 1000 with at most six digits after the point, such as "0.5" or "1.1"',
  [
    [/%/, 'must be a factor and not percent: "0.5" for half the price'],
    [/^-/, 'must not be negative: "0.9" for a tenth less'],
  ],
);
const mode = worded(
  z.string().max(63),
  /^[a-z][a-z0-9-]*$/,
  "must be a mode of processing in lower case, such as batch, flex, priority, fast or geo-us",
);

const imageWord = z.string().min(1).max(32);

const images = z
  .array(
    z.strictObject({
      size: imageWord.optional().describe("The size, such as 1024x1024. Absent: any."),
      quality: imageWord.optional().describe("The quality, such as standard, hd or high. Absent: any."),
      perThousand: decimal.describe("USD for a thousand such images."),
    }),
  )
  .min(1)
  .max(16)
  .meta({ listType: "atomic" })
  .optional()
  .describe(
    "Prices of images by size and quality. The first entry that fits counts, else imagePerThousand. If the size or quality of an image is not known, the highest price that may be meant counts.",
  );

const compute = z
  .strictObject({
    perGPUHour: decimal.describe("USD for an hour of one GPU."),
    gpus: z.int().min(1).max(4_096).default(1).describe("GPUs of one server."),
    callsAtOnce: z
      .int()
      .min(1)
      .max(100_000)
      .default(1)
      .describe("Calls that a server handles at the same time, on average. They share its cost."),
  })
  .optional()
  .describe(
    "What servers of your own cost, charged by the time that each call takes there. Set the token rates to 0, unless tokens cost as well.",
  );

/** The fields of a price, for manifests and for the installation's list. */
export const priceFields = {
  ...tokenRates,
  ...useRates,
  images,
  compute,
  multipliers: z
    .record(mode, multiplier)
    .meta({ maxProperties: 16 })
    .optional()
    .describe(
      "Factors that the token rates are multiplied by when the provider processes a call in this mode: its service tier (batch, flex, priority), fast, or geo- and the region that inference was bound to. Absent: the provider's usual ones.",
    ),
  contextTiers: z
    .array(
      z.strictObject({
        aboveTokens: z.int().min(1).max(100_000_000).describe("Prompts of more tokens than this."),
        ...tokenRates,
      }),
    )
    .min(1)
    .max(8)
    .optional()
    .meta({ listType: "map", listMapKeys: ["aboveTokens"] })
    .describe("Rates that hold for the whole request where its prompt is longer."),
};

export const modelPrice = z.strictObject(priceFields).describe("Overrides the price table for this model.");
export type ModelPrice = z.output<typeof modelPrice>;
