/** https://platform.openai.com/docs/api-reference/images */
import type { Price } from "../config/price.ts";
import type { ImageShape, Usage } from "../dialects/canonical.ts";
import { Counts, member } from "../dialects/usage-counts.ts";
import type { JsonObject } from "../wire/json.ts";
import { byTokens, type MediaFormat, type MediaRequest, noUsage, roughTokens, textIn } from "./format.ts";

/** Most tokens of one image that is made, at the largest size. */
const maxMade = 16_384;
/** Most tokens of one image that is sent, at high fidelity. */
const maxSent = 8_192;
const usuallySent = 1_024;
const perPartialImage = 100;

/** Tokens of an image by quality: https://platform.openai.com/docs/guides/image-generation#cost-and-latency */
const usuallyMade: Readonly<Record<string, number>> = { low: 408, medium: 1_584 };
const usuallyMadeHigh = 6_240;

const countOf = (value: unknown, otherwise: number): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : otherwise;

const wordOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" && value !== "auto" ? value : undefined;

function shapeOf(...from: readonly JsonObject[]): ImageShape {
  const first = (name: string): string | undefined => {
    for (const object of from) {
      const word = wordOf(object[name]);
      if (word !== undefined) return word;
    }
    return undefined;
  };
  const [size, quality] = [first("size"), first("quality")];
  return { ...(size === undefined ? {} : { size }), ...(quality === undefined ? {} : { quality }) };
}

const sentImages = ({ json, parts }: MediaRequest): number =>
  parts.filter(({ filename }) => filename !== null).length +
  (Array.isArray(json["images"]) ? json["images"].length : 0);

function usageOf(answer: JsonObject, { json }: MediaRequest): Usage | null {
  const made = Array.isArray(answer["data"]) ? answer["data"].length : wordOf(answer["b64_json"]) === undefined ? 0 : 1;
  if (made === 0) return null;
  const counts = new Counts();
  const usage = member(answer, "usage");
  const [input, output] = [member(usage, "input_tokens_details"), member(usage, "output_tokens_details")];
  const completion = counts.of(usage["output_tokens"]);
  const text = counts.of(output["text_tokens"]);
  const used = counts.usage(
    {
      ...noUsage,
      prompt: counts.of(usage["input_tokens"]),
      completion,
      cachedPrompt: counts.of(input["cached_tokens"]),
    },
    {
      units: {
        image: made,
        inputImage: counts.of(input["image_tokens"]),
        outputImage: Math.max(0, completion - text),
      },
    },
  );
  return { ...used, image: shapeOf(answer, json) };
}

const tokensOf = (prompt: number, outputImage: number, estimated: boolean): Partial<Usage> => ({
  prompt,
  completion: outputImage,
  estimated,
});

const isSoldByImage = (price: Price | null): boolean =>
  price !== null && (price.uses?.["image"] !== undefined || price.images !== undefined);

function most(request: MediaRequest, price: Price | null): Usage {
  const { json } = request;
  const image = countOf(json["n"], 1);
  const usage = { ...noUsage, units: { image }, image: shapeOf(json) };
  if (isSoldByImage(price) || !byTokens(price)) return usage;
  const inputImage = sentImages(request) * maxSent;
  const outputImage = image * maxMade + countOf(json["partial_images"], 0) * perPartialImage;
  const prompt = Buffer.byteLength(textIn(json["prompt"])) + inputImage;
  return { ...usage, ...tokensOf(prompt, outputImage, true), units: { image, inputImage, outputImage } };
}

function expected(request: MediaRequest, price: Price | null): Usage {
  const { json } = request;
  const image = countOf(json["n"], 1);
  const usage = { ...noUsage, units: { image }, image: shapeOf(json) };
  if (isSoldByImage(price) || !byTokens(price)) return usage;
  const inputImage = sentImages(request) * usuallySent;
  const outputImage = image * (usuallyMade[String(json["quality"])] ?? usuallyMadeHigh);
  const prompt = roughTokens(textIn(json["prompt"])) + inputImage;
  return { ...usage, ...tokensOf(prompt, outputImage, true), units: { image, inputImage, outputImage } };
}

const common = {
  answerKind: (json: JsonObject) => (json["stream"] === true ? "events" : "json") as "events" | "json",
  settable: new Set([
    ...["n", "size", "quality", "style", "response_format", "user", "safety_identifier", "moderation", "background"],
    ...["output_format", "output_compression", "partial_images", "input_fidelity"],
  ]),
  usageOf,
  most,
  expected,
};

export const generations: MediaFormat = { ...common, title: "image generation", body: "json", upload: null };
/** As a form with uploads, or as JSON that refers to images. */
export const edits: MediaFormat = { ...common, title: "image editing", body: "either", upload: "image" };
export const variations: MediaFormat = { ...common, title: "image variations", body: "form", upload: "image" };
