/** Embeddings by watsonx: https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings */

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
import { owner } from "./request.ts";

const read: ReadonlySet<string> = new Set(["model", "input", "encoding_format"]);

function decode(body: unknown, model: string, wanted: number): EmbeddingsReply | ProviderError {
  const results = isObject(body) && Array.isArray(body["results"]) ? (body["results"] as unknown[]) : [];
  const vectors = results.map((result) => (isObject(result) ? result["embedding"] : null)).filter(isVector);
  if (!isObject(body) || vectors.length !== wanted) return invalidReply();
  const prompt = Number(body["input_token_count"]);
  const usage = Number.isSafeInteger(prompt)
    ? { prompt, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: false }
    : null;
  return { model, vectors, usage };
}

export function watsonxEmbeddings(
  request: EmbeddingsRequest,
  account: ProviderAccount,
  model: ProviderModel,
  path: string,
): EmbeddingsCall | Refusal {
  const texts = inputTexts(request.input);
  if (texts === null) return refusal("input", "watsonx takes texts, not tokens. Send `input` as text.");
  return {
    path,
    body: JSON.stringify({ model_id: model.config.upstream, ...owner(account), inputs: texts }),
    dropped: givenBesides(request, read),
    decodeReply: (body) => decode(body, model.config.upstream, texts.length),
  };
}
