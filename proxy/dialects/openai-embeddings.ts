/**
 * OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings): one request, one answer, no stream.
 */

import { Buffer } from "node:buffer";
import type { JsonObject } from "../wire/json.ts";
import { type EmbeddingsReply, type EmbeddingsRequest, type Refusal, refusal, type Usage } from "./canonical.ts";
import * as is from "./check.ts";
import { decodeUsage } from "./openai-chat/usage.ts";

/** OpenAI's own limit on inputs per request. */
const maxInputs = 2_048;

const tokens = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(Number.isSafeInteger);

function inputRefusal(input: unknown, param: string): Refusal | null {
  const good = typeof input === "string" ? input !== "" : tokens(input) || listOf(input);
  if (!good) return is.invalid(param, "a text, a list of texts, a list of tokens, or a list of those, and not empty");
  return Array.isArray(input) && typeof input[0] !== "number" && input.length > maxInputs
    ? is.invalid(param, `a list of at most ${maxInputs} inputs`)
    : null;
}

/** Either all texts or all token lists. */
function listOf(input: unknown): boolean {
  if (!Array.isArray(input) || input.length === 0) return false;
  return input.every((element) => typeof element === "string" && element !== "") || input.every(tokens);
}

function decode(body: JsonObject): EmbeddingsRequest | Refusal {
  if ((body["input"] ?? null) === null)
    return refusal("input", "`input` is missing. Add it.", "missing_required_parameter");
  const problem =
    is.required(body, "model", is.aString) ??
    inputRefusal(body["input"], "input") ??
    is.members(body, { encoding_format: is.oneOf("float", "base64"), dimensions: is.aWholeNumber, user: is.aString });
  return problem ?? (body as unknown as EmbeddingsRequest);
}

/** How many vectors are requested; 1 if the input can't be read. */
function batchSize(body: JsonObject): number {
  const input = body["input"];
  return Array.isArray(input) && input.length > 0 && typeof input[0] !== "number" ? input.length : 1;
}

/** Little-endian 32-bit floats, which the official SDKs request and decode by default. */
function base64(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString("base64");
}

function encodeReply(reply: EmbeddingsReply, context: { model: string; request: EmbeddingsRequest }): JsonObject {
  const packed = context.request.encoding_format === "base64";
  const prompt = reply.usage?.prompt ?? 0;
  return {
    object: "list",
    data: reply.vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: packed ? base64(vector) : vector,
    })),
    model: context.model,
    usage: { prompt_tokens: prompt, total_tokens: prompt },
  };
}

function usageOf(body: JsonObject): Usage | null {
  return decodeUsage(body["usage"]);
}

export const embeddings = { decode, encodeReply, usageOf, batchSize };
