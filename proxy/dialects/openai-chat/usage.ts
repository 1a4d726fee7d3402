/** `usage` as OpenAI's chat completions, completions and embeddings have it, in both directions. */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { Usage } from "../canonical.ts";

/** No call has as many tokens; and what they cost can be counted. */
const mostTokens = 1e9;

/** A token count as the wire gives it; anything but a number above 0 that a call can have is 0. */
export function count(value: unknown): number {
  return typeof value === "number" && value > 0 && value <= mostTokens ? Math.floor(value) : 0;
}

/** OpenAI's `usage` object → canonical; null where it is none. */
export function decodeUsage(usage: unknown): Usage | null {
  if (!isObject(usage)) return null;
  const prompt = isObject(usage["prompt_tokens_details"]) ? usage["prompt_tokens_details"] : {};
  const completion = isObject(usage["completion_tokens_details"]) ? usage["completion_tokens_details"] : {};
  return {
    prompt: count(usage["prompt_tokens"]),
    cachedPrompt: count(prompt["cached_tokens"]),
    cacheWrite: count(prompt["cache_write_tokens"]),
    completion: count(usage["completion_tokens"]),
    reasoning: count(completion["reasoning_tokens"]),
    estimated: false,
  };
}

/** Canonical → OpenAI's `usage` object. */
export function encodeUsage(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
    total_tokens: usage.prompt + usage.completion,
    prompt_tokens_details: {
      cached_tokens: usage.cachedPrompt,
      ...(usage.cacheWrite > 0 ? { cache_write_tokens: usage.cacheWrite } : {}),
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}
