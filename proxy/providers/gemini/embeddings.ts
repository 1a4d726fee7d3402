/** Embeddings by batchEmbedContents (https://ai.google.dev/api/embeddings#method:-models.batchembedcontents). */

import {
  type EmbeddingsReply,
  type EmbeddingsRequest,
  type ProviderError,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { givenBesides, isObject, objectsIn } from "../../wire/json.ts";
import type { EmbeddingsCall, ProviderAccount, ProviderModel } from "../provider.ts";
import { inputTexts, isVector } from "../vectors.ts";
import { usageOf } from "./reply.ts";
import { modelPath } from "./request.ts";

const read: ReadonlySet<string> = new Set(["model", "input", "encoding_format", "dimensions"]);

function decodeEmbeddings(body: unknown, model: string, wanted: number): EmbeddingsReply | ProviderError {
  const entries = isObject(body) ? objectsIn(body["embeddings"]).map((embedding) => embedding["values"]) : [];
  const vectors = entries.filter(isVector);
  if (vectors.length !== wanted || entries.length !== wanted) return invalidReply();
  // Older models report no usage.
  return { model, vectors, usage: isObject(body) ? usageOf(body["usageMetadata"]) : null };
}

export function geminiEmbeddings(
  request: EmbeddingsRequest,
  account: ProviderAccount,
  model: ProviderModel,
): EmbeddingsCall | Refusal {
  const texts = inputTexts(request.input);
  if (texts === null) return refusal("input", "Gemini accepts texts, not token numbers. Send `input` as text.");
  // Tuned models have no embeddings. The name in the body is the resource name, not encoded.
  const name = model.config.upstream.replace(/^models\//, "");
  const size = request.dimensions == null ? {} : { outputDimensionality: request.dimensions };
  return {
    path: `${account.basePath}/${modelPath(model.config.upstream)}:batchEmbedContents`,
    body: JSON.stringify({
      requests: texts.map((text) => ({ model: `models/${name}`, content: { parts: [{ text }] }, ...size })),
    }),
    dropped: givenBesides(request, read),
    decodeReply: (body) => decodeEmbeddings(body, model.config.upstream, texts.length),
  };
}
