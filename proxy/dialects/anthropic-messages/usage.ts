/** Anthropic's `usage`: `input_tokens` counts only tokens neither read from nor written to the cache. */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { Usage } from "../canonical.ts";
import { Counts, member, tierMode, tierOf } from "../usage-counts.ts";

/**
 * Returns null if the value isn't a usage object. https://platform.claude.com/docs/en/api/messages/create: one-hour
 * cache writes, uses of Anthropic's own tools, how and where the call was processed.
 */
export function decodeUsage(usage: unknown): Usage | null {
  if (!isObject(usage)) return null;
  const counts = new Counts();
  const details = member(usage, "output_tokens_details");
  const writes = member(usage, "cache_creation");
  const tools = member(usage, "server_tool_use");
  const hour = counts.of(writes["ephemeral_1h_input_tokens"]);
  const fiveMinutes = counts.of(writes["ephemeral_5m_input_tokens"]);
  const cachedPrompt = counts.of(usage["cache_read_input_tokens"]);
  const cacheWrite = Math.max(counts.of(usage["cache_creation_input_tokens"]), hour + fiveMinutes);
  return counts.usage(
    {
      prompt: counts.of(usage["input_tokens"]) + cachedPrompt + cacheWrite,
      cachedPrompt,
      cacheWrite,
      completion: counts.of(usage["output_tokens"]),
      reasoning: counts.of(details["thinking_tokens"]),
    },
    {
      units: {
        cacheWrite1h: hour,
        webSearch: counts.of(tools["web_search_requests"]),
        webFetch: counts.of(tools["web_fetch_requests"]),
        codeExecution: counts.of(tools["code_execution_requests"]),
      },
      modes: [tierMode(usage["service_tier"]), tierMode(usage["speed"]), placeOf(usage["inference_geo"])],
    },
  );
}

/**
 * The region that inference was restricted to. Anthropic sends `global` or `not_available` if there was no restriction.
 */
function placeOf(geo: unknown): string | null {
  if (typeof geo !== "string" || geo === "" || geo === "global" || geo === "not_available") return null;
  return tierMode(`geo-${geo}`);
}

const none: Usage = { prompt: 0, cachedPrompt: 0, cacheWrite: 0, completion: 0, reasoning: 0, estimated: true };

export function encodeUsage(given: Usage | null): JsonObject {
  const usage = given ?? none;
  const tier = tierOf(usage);
  return {
    input_tokens: Math.max(0, usage.prompt - usage.cachedPrompt - usage.cacheWrite),
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cachedPrompt,
    output_tokens: usage.completion,
    ...(usage.units?.webSearch ? { server_tool_use: { web_search_requests: usage.units.webSearch } } : {}),
    ...(tier === "priority" || tier === "batch" ? { service_tier: tier } : {}),
    ...(usage.reasoning > 0 ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}),
  };
}

/**
 * `message_delta` has cumulative counts that replace those of `message_start`, except where they are absent or null.
 */
export function mergeUsage(before: JsonObject, update: unknown): JsonObject {
  if (!isObject(update)) return before;
  const merged = { ...before };
  for (const [name, value] of Object.entries(update)) if (value !== null) merged[name] = value;
  return merged;
}
