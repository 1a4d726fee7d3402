/** `usage` of OpenAI's chat completions, completions and embeddings, in both directions. */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { Units, Usage } from "../canonical.ts";
import { Counts, member, tierMode, withHidden } from "../usage-counts.ts";

/**
 * OpenAI's `usage` object → canonical usage; null if the value isn't an object. `tier`: how the call was processed,
 * which is outside the usage object. Compatible servers have counts of their own: DeepSeek's cache, Perplexity's and
 * xAI's searches, reasoning that is included only in the total (xAI, Gemini).
 */
export function decodeUsage(usage: unknown, tier: unknown = null): Usage | null {
  if (!isObject(usage)) return null;
  const counts = new Counts();
  const input = member(usage, "prompt_tokens_details");
  const output = member(usage, "completion_tokens_details");
  const prompt = counts.of(usage["prompt_tokens"]);
  const completion = counts.of(usage["completion_tokens"]);
  const reasoning = counts.of(output["reasoning_tokens"]);
  const hidden = withHidden({ prompt, completion, reasoning }, counts.of(usage["total_tokens"]));
  const units = unitsOf(counts, usage, input, output);
  const mode = tierMode(tier);
  return counts.usage(
    {
      prompt,
      cachedPrompt: counts.of(input["cached_tokens"] ?? usage["prompt_cache_hit_tokens"]),
      cacheWrite: counts.of(input["cache_write_tokens"]),
      completion: hidden.completion,
      reasoning: hidden.reasoning,
    },
    units === null && mode === null ? undefined : { units: units ?? {}, modes: [mode] },
  );
}

/** Most answers have none of them, and then no object is made. */
function unitsOf(counts: Counts, usage: JsonObject, input: JsonObject, output: JsonObject): Units | null {
  const cached = member(input, "cached_tokens_details");
  let units = withUnit(null, "inputAudio", counts.of(input["audio_tokens"]));
  units = withUnit(units, "inputImage", counts.of(input["image_tokens"]));
  units = withUnit(units, "cachedAudio", counts.of(cached["audio_tokens"]));
  units = withUnit(units, "cachedImage", counts.of(cached["image_tokens"]));
  units = withUnit(units, "outputAudio", counts.of(output["audio_tokens"]));
  units = withUnit(units, "outputImage", counts.of(output["image_tokens"]));
  const searches = counts.of(usage["num_search_queries"]) + counts.of(usage["num_sources_used"]);
  return withUnit(units, "webSearch", searches);
}

function withUnit(units: Units | null, unit: keyof Units, amount: number): Units | null {
  if (amount === 0) return units;
  const all = units ?? {};
  all[unit] = amount;
  return all;
}

const audioTokens = (tokens: number | undefined): JsonObject => (tokens === undefined ? {} : { audio_tokens: tokens });

/** Canonical usage → OpenAI's `usage` object. */
export function encodeUsage(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
    total_tokens: usage.prompt + usage.completion,
    prompt_tokens_details: {
      cached_tokens: usage.cachedPrompt,
      ...(usage.cacheWrite > 0 ? { cache_write_tokens: usage.cacheWrite } : {}),
      ...audioTokens(usage.units?.inputAudio),
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoning, ...audioTokens(usage.units?.outputAudio) },
  };
}
