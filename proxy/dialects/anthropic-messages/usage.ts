/** Anthropic's `usage`: `input_tokens` is what came neither from the cache nor went into it. */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { Usage } from "../canonical.ts";
import { count } from "../openai-chat/usage.ts";

/** null where it is no usage object. */
export function decodeUsage(usage: unknown): Usage | null {
  if (!isObject(usage)) return null;
  const details = isObject(usage["output_tokens_details"]) ? usage["output_tokens_details"] : {};
  const cachedPrompt = count(usage["cache_read_input_tokens"]);
  const cacheWrite = count(usage["cache_creation_input_tokens"]);
  return {
    prompt: count(usage["input_tokens"]) + cachedPrompt + cacheWrite,
    cachedPrompt,
    cacheWrite,
    completion: count(usage["output_tokens"]),
    reasoning: count(details["thinking_tokens"]),
    estimated: false,
  };
}

const none: Usage = { prompt: 0, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: true };

export function encodeUsage(given: Usage | null): JsonObject {
  const usage = given ?? none;
  return {
    input_tokens: Math.max(0, usage.prompt - usage.cachedPrompt - usage.cacheWrite),
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cachedPrompt,
    output_tokens: usage.completion,
    ...(usage.reasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}),
  };
}

/** `message_delta` has cumulative figures that correct those of `message_start`; absent and null ones leave them alone. */
export function mergeUsage(before: JsonObject, update: unknown): JsonObject {
  if (!isObject(update)) return before;
  const merged = { ...before };
  for (const [name, value] of Object.entries(update)) if (value !== null) merged[name] = value;
  return merged;
}
