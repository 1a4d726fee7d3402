/** OpenAI's embeddings: https://platform.openai.com/docs/api-reference/embeddings */
import { Buffer } from "node:buffer";
import { usageOf } from "../providers/openai/reply.ts";
import { type EmbeddingsReply, type EmbeddingsRequest, type JsonObject, type Refusal, refusal, type Usage } from "./canonical.ts";

const maxInputs = 2048;

function inputFits(input: unknown): boolean {
  if (typeof input === "string") return input !== "";
  if (!Array.isArray(input) || input.length === 0) return false;
  const tokens = (list: unknown): boolean => Array.isArray(list) && list.length > 0 && list.every((token) => Number.isInteger(token));
  return input.every((one) => typeof one === "string" && one !== "") || tokens(input) || input.every(tokens);
}

function decode(body: JsonObject): EmbeddingsRequest | Refusal {
  const input = body["input"];
  if (!inputFits(input)) return refusal("input", "`input` must be a non-empty string, a list of such strings, or token numbers.", "invalid_value");
  if (batchSize(body) > maxInputs) return refusal("input", `\`input\` has more than ${maxInputs} entries.`, "invalid_value");
  return body as unknown as EmbeddingsRequest;
}

/** Number of inputs: 1 unless it is a list of texts or of token lists. */
function batchSize(body: JsonObject): number {
  const input = body["input"];
  return Array.isArray(input) && typeof input[0] !== "number" ? input.length : 1;
}

function base64(vector: readonly number[]): string {
  return Buffer.from(Float32Array.from(vector).buffer).toString("base64");
}

function encodeReply(reply: EmbeddingsReply, context: { model: string; request: EmbeddingsRequest }): JsonObject {
  const encode = context.request.encoding_format === "base64" ? base64 : (vector: number[]) => vector;
  const tokens = reply.usage?.prompt ?? 0;
  return {
    object: "list",
    model: context.model,
    data: reply.vectors.map((vector, index) => ({ object: "embedding", index, embedding: encode(vector) })),
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

export const embeddings = {
  decode,
  encodeReply,
  batchSize,
  usageOf: (body: JsonObject): Usage | null => usageOf(body["usage"]),
};
