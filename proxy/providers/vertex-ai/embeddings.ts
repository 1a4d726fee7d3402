/** Embeddings: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api */
import {
  type EmbeddingsReply,
  type EmbeddingsRequest,
  type ProviderError,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { givenBesides, isObject } from "../../wire/json.ts";
import type { EmbeddingsCall, ProviderAccount, ProviderModel } from "../provider.ts";
import { inputTexts, isVector } from "../vectors.ts";
import { apiOf, geminiBase } from "./address.ts";

const read: ReadonlySet<string> = new Set(["model", "input", "encoding_format", "dimensions"]);
/** These models take one text in a call; the others take up to 250. */
const takesOne = /^gemini-embedding/;

function tokensOf(embeddings: unknown): number {
  const statistics = isObject(embeddings) ? embeddings["statistics"] : null;
  const count = isObject(statistics) ? statistics["token_count"] : null;
  return typeof count === "number" && count > 0 ? Math.floor(count) : 0;
}

function decodeEmbeddings(body: unknown, model: string, wanted: number): EmbeddingsReply | ProviderError {
  const predictions = isObject(body) && Array.isArray(body["predictions"]) ? body["predictions"] : [];
  const entries = predictions.map((prediction: unknown) => (isObject(prediction) ? prediction["embeddings"] : null));
  const vectors = entries.map((entry) => (isObject(entry) ? entry["values"] : null)).filter(isVector);
  if (vectors.length !== wanted || entries.length !== wanted) return invalidReply();
  const prompt = entries.reduce<number>((sum, entry) => sum + tokensOf(entry), 0);
  const none = { cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: false };
  return { model, vectors, usage: prompt === 0 ? null : { prompt, ...none } };
}

export function vertexEmbeddings(
  request: EmbeddingsRequest,
  account: ProviderAccount,
  model: ProviderModel,
): EmbeddingsCall | Refusal {
  const { upstream } = model.config;
  if (apiOf(account, model) !== "Gemini")
    return refusal("model", "Only Google's own models have embeddings on Vertex AI. Use another model.");
  const texts = inputTexts(request.input);
  if (texts === null) return refusal("input", "Vertex AI accepts texts, not token numbers. Send `input` as text.");
  if (texts.length > 1 && takesOne.test(upstream))
    return refusal("input", "This model takes one text in a call. Send the texts in calls of their own.");
  const size = request.dimensions == null ? {} : { parameters: { outputDimensionality: request.dimensions } };
  return {
    path: `${geminiBase(account)}/models/${encodeURIComponent(upstream.replace(/^models\//, ""))}:predict`,
    body: JSON.stringify({ instances: texts.map((content) => ({ content })), ...size }),
    dropped: givenBesides(request, read),
    decodeReply: (body) => decodeEmbeddings(body, upstream, texts.length),
  };
}
