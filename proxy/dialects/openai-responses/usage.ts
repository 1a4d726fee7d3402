/** `usage` as OpenAI's Responses have it. */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { Usage } from "../canonical.ts";
import { count } from "../openai-chat/usage.ts";

/** null where it is no usage object. */
export function decodeUsage(usage: unknown): Usage | null {
  if (!isObject(usage)) return null;
  const input = isObject(usage["input_tokens_details"]) ? usage["input_tokens_details"] : {};
  const output = isObject(usage["output_tokens_details"]) ? usage["output_tokens_details"] : {};
  return {
    prompt: count(usage["input_tokens"]),
    cachedPrompt: count(input["cached_tokens"]),
    cacheWrite: count(input["cache_write_tokens"]),
    completion: count(usage["output_tokens"]),
    reasoning: count(output["reasoning_tokens"]),
    estimated: false,
  };
}

export function encodeUsage(usage: Usage): JsonObject {
  return {
    input_tokens: usage.prompt,
    input_tokens_details: { cached_tokens: usage.cachedPrompt, cache_write_tokens: usage.cacheWrite },
    output_tokens: usage.completion,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.prompt + usage.completion,
  };
}
