/** Embeddings by v2 embed (https://docs.cohere.com/reference/embed). */

import {
  type EmbeddingsReply,
  type EmbeddingsRequest,
  type ProviderError,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { givenBesides, isObject, type JsonObject } from "../../wire/json.ts";
import type { EmbeddingsCall, ProviderAccount, ProviderModel } from "../provider.ts";
import { inputTexts, isVector } from "../vectors.ts";
import { capabilities } from "./capabilities.ts";
import { usageOf } from "./reply.ts";

const read: ReadonlySet<string> = new Set(["model", "input", "encoding_format", "dimensions", "input_type"]);
const inputTypes: ReadonlySet<unknown> = new Set(["search_document", "search_query", "classification", "clustering"]);

function decodeEmbeddings(body: unknown, model: string, wanted: number): EmbeddingsReply | ProviderError {
  const embeddings = isObject(body) && isObject(body["embeddings"]) ? body["embeddings"]["float"] : null;
  if (!isObject(body) || !Array.isArray(embeddings)) return invalidReply();
  const vectors = (embeddings as unknown[]).filter(isVector);
  if (vectors.length !== wanted || embeddings.length !== wanted) return invalidReply();
  return { model, vectors, usage: usageOf(body["meta"]) };
}

/**
 * Cohere requires the purpose of the vectors. A client may give it in a field of its own; otherwise the provider's
 * option applies.
 */
export function cohereEmbeddings(
  request: EmbeddingsRequest,
  account: ProviderAccount,
  model: ProviderModel,
): EmbeddingsCall | Refusal {
  const texts = inputTexts(request.input);
  if (texts === null) return refusal("input", "Cohere accepts texts, not token numbers. Send `input` as text.");
  const asked =
    request["input_type"] ?? account.config.options["inputType"] ?? capabilities.options["inputType"]?.default;
  if (!inputTypes.has(asked))
    return refusal("input_type", `\`input_type\` must be one of ${[...inputTypes].join(", ")}.`, "invalid_value");
  const body: JsonObject = { model: model.config.upstream, texts, input_type: asked, embedding_types: ["float"] };
  if (request.dimensions != null) body["output_dimension"] = request.dimensions;
  return {
    path: `${account.basePath}/embed`,
    body: JSON.stringify(body),
    dropped: givenBesides(request, read),
    decodeReply: (reply) => decodeEmbeddings(reply, model.config.upstream, texts.length),
  };
}
