/** A model's price as people write it: decimal USD. Field names match the config's units (proxy/config/price.ts). */
import { z } from "zod";
import { decimal } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

const rate = (text: string) => decimal.optional().describe(text);

/** Rates that depend on the size of the prompt, if a price has context tiers. */
const tokenRates = {
  inputPerMillion: decimal.describe("USD per million input tokens."),
  cachedInputPerMillion: rate("USD per million input tokens read from the provider's cache. Default: as input."),
  cacheWritePerMillion: rate("USD per million input tokens written to the provider's cache. Default: as input."),
  cacheWrite1hPerMillion: rate(
    "USD per million input tokens written to the provider's cache for an hour. Default: twice the input, or cacheWritePerMillion if that is more.",
  ),
  outputPerMillion: decimal.describe("USD per million output tokens, reasoning included. 0 for embeddings."),
  reasoningPerMillion: rate("USD per million reasoning tokens, if their rate differs from output."),
  inputAudioPerMillion: rate("USD per million audio tokens of the prompt. Default: as input."),
  inputImagePerMillion: rate("USD per million image tokens of the prompt. Default: as input."),
  inputVideoPerMillion: rate("USD per million video tokens of the prompt. Default: as input."),
  cachedAudioPerMillion: rate(
    "USD per million audio tokens read from the provider's cache. Default: as inputAudioPerMillion, or as cached input.",
  ),
  cachedImagePerMillion: rate(
    "USD per million image tokens read from the provider's cache. Default: as inputImagePerMillion, or as cached input.",
  ),
  outputAudioPerMillion: rate("USD per million audio tokens of the answer. Default: as output."),
  outputImagePerMillion: rate("USD per million image tokens of the answer. Default: as output."),
  outputVideoPerMillion: rate("USD per million video tokens of the answer. Default: as output."),
};

const useRates = {
  webSearchPerThousand: rate("USD per thousand web searches of the provider's own tool."),
  fileSearchPerThousand: rate("USD per thousand file searches of the provider's own tool."),
  mapsSearchPerThousand: rate("USD per thousand map searches of the provider's own tool."),
  webFetchPerThousand: rate("USD per thousand page fetches of the provider's own tool. 0 if only tokens are charged."),
  codeExecutionPerThousand: rate("USD per thousand containers or sessions of the provider's code tool."),
  imageGenerationPerThousand: rate("USD per thousand images that the provider's own tool makes."),
  documentPagePerThousand: rate("USD per thousand pages of a document that is read."),
  annotatedPagePerThousand: rate("USD per thousand pages of a document that is read and annotated."),
  requestPerThousand: rate("USD per thousand calls, in addition to the cost of their tokens."),
  imagePerThousand: rate("USD per thousand images of the images API, if it charges by image rather than by token."),
  charactersPerMillion: rate("USD per million characters, for speech that is charged by characters."),
  searchUnitPerThousand: rate("USD per thousand search units of reranking: queries with up to 100 documents each."),
  audioPerHour: rate("USD per hour of audio, if audio is charged by length."),
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
      size: imageWord.optional().describe("The size, such as 1024x1024. Default: any."),
      quality: imageWord.optional().describe("The quality, such as standard, hd or high. Default: any."),
      perThousand: decimal.describe("USD per thousand such images."),
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
    perGPUHour: decimal.describe("USD per hour of one GPU."),
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
    "Cost of self-hosted servers, charged by the time that each call takes. Set the token rates to 0, unless tokens cost as well.",
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
      "Factors that the token rates are multiplied by when the provider processes a call in this mode: its service tier (batch, flex, priority), fast, or geo- and the region that inference was bound to. Default: the provider's usual ones.",
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
    .describe("Rates for requests with longer prompts. They apply to the whole request."),
};

export const modelPrice = z.strictObject(priceFields).describe("Overrides the price table for this model.");
export type ModelPrice = z.output<typeof modelPrice>;
