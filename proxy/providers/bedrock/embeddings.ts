/**
 * Embeddings by InvokeModel, in the form of each model's vendor
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html).
 */
import {
  type EmbeddingsReply,
  type EmbeddingsRequest,
  type ProviderError,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { givenBesides, isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { EmbeddingsCall, ProviderModel } from "../provider.ts";
import { inputTexts, isVector } from "../vectors.ts";

interface Form {
  /** Whether the model takes several texts in a call. */
  takesMany: boolean;
  /** Additional parameters that it accepts. */
  reads: readonly string[];
  body(texts: readonly string[], request: EmbeddingsRequest): JsonObject;
  vectors(body: JsonObject): unknown[];
}

const given = (name: string, value: unknown): JsonObject => (value == null ? {} : { [name]: value });

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html */
const titan: Form = {
  takesMany: false,
  reads: ["normalize"],
  body: ([inputText], { dimensions, normalize }) => ({
    inputText,
    ...given("dimensions", dimensions),
    ...given("normalize", normalize),
  }),
  vectors: ({ embedding }) => [embedding],
};

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-mm.html */
const titanImages: Form = {
  ...titan,
  reads: [],
  body: ([inputText], { dimensions }) => ({
    inputText,
    ...(dimensions == null ? {} : { embeddingConfig: { outputEmbeddingLength: dimensions } }),
  }),
};

/** https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html */
const nova: Form = {
  takesMany: false,
  reads: [],
  body: ([value], { dimensions }) => ({
    taskType: "SINGLE_EMBEDDING",
    singleEmbeddingParams: {
      embeddingPurpose: "GENERIC_INDEX",
      ...given("embeddingDimension", dimensions),
      text: { truncationMode: "NONE", value },
    },
  }),
  vectors: ({ embeddings }) => objectsIn(embeddings).map(({ embedding }) => embedding),
};

/** https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html */
const cohere: Form = {
  takesMany: true,
  reads: ["input_type", "truncate"],
  body: (texts, { dimensions, input_type, truncate }) => ({
    texts,
    input_type: input_type ?? "search_document",
    embedding_types: ["float"],
    ...given("output_dimension", dimensions),
    ...given("truncate", truncate),
  }),
  vectors: ({ embeddings }) => {
    const list = isObject(embeddings) ? embeddings["float"] : embeddings;
    return Array.isArray(list) ? (list as unknown[]) : [];
  },
};

const forms: readonly (readonly [RegExp, Form])[] = [
  [/(^|[./])amazon\.titan-embed-image/, titanImages],
  [/(^|[./])amazon\.titan-embed/, titan],
  [/(^|[./])amazon\.nova-.*embeddings/, nova],
  [/(^|[./])cohere\.embed/, cohere],
];

const known = ["model", "input", "encoding_format", "dimensions"];

/** In a header for all models, and in the body of some. */
function tokensOf(body: JsonObject, header: unknown): number | null {
  const tokens = Number(body["inputTextTokenCount"] ?? header);
  return Number.isSafeInteger(tokens) && tokens >= 0 ? tokens : null;
}

function decode(
  body: unknown,
  header: unknown,
  model: string,
  { form, wanted }: { form: Form; wanted: number },
): EmbeddingsReply | ProviderError {
  const vectors = isObject(body) ? form.vectors(body) : [];
  if (!isObject(body) || vectors.length !== wanted || !vectors.every(isVector)) return invalidReply();
  const prompt = tokensOf(body, header);
  const none = { cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: false };
  return { model, vectors, usage: prompt === null ? null : { prompt, ...none } };
}

/** `path`: of the model, without the operation. */
export function bedrockEmbeddings(
  request: EmbeddingsRequest,
  path: string,
  { config: { upstream } }: ProviderModel,
): EmbeddingsCall | Refusal {
  const form = forms.find(([pattern]) => pattern.test(upstream))?.[1];
  if (form === undefined)
    return refusal("model", "Of Bedrock's models, those of Titan, Nova and Cohere have embeddings. Use another model.");
  const texts = inputTexts(request.input);
  if (texts === null) return refusal("input", "Bedrock accepts texts, not token numbers. Send `input` as text.");
  if (texts.length > 1 && !form.takesMany)
    return refusal("input", "This model takes one text in a call. Send the texts in calls of their own.");
  const read = new Set([...known, ...form.reads]);
  return {
    path: `${path}/invoke`,
    headers: { accept: "application/json" },
    body: JSON.stringify(form.body(texts, request)),
    dropped: givenBesides(request, read),
    decodeReply: (body, headers) =>
      decode(body, headers["x-amzn-bedrock-input-token-count"], upstream, { form, wanted: texts.length }),
  };
}
