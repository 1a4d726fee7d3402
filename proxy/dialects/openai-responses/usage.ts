/** `usage` of OpenAI's Responses. */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import type { Units, Usage } from "../canonical.ts";
import { Counts, member, tierMode, withHidden } from "../usage-counts.ts";

/** Output items that show that one of the provider's own tools ran. Each has a charge. */
export const toolItems = [
  "web_search_call",
  "file_search_call",
  "code_interpreter_call",
  "image_generation_call",
] as const;

/**
 * Uses of the provider's own tools (https://platform.openai.com/docs/pricing#built-in-tools). Opening a page from the
 * results isn't a search.
 */
function toolUses(output: unknown): Units {
  const items = objectsIn(output);
  const some = (type: (typeof toolItems)[number]): JsonObject[] => items.filter((item) => item["type"] === type);
  const searches = some("web_search_call").filter((item) => (member(item, "action")["type"] ?? "search") === "search");
  const containers = new Set(some("code_interpreter_call").map((item) => item["container_id"] ?? item["id"]));
  return {
    webSearch: searches.length,
    fileSearch: some("file_search_call").length,
    codeExecution: containers.size,
    imageGeneration: some("image_generation_call").length,
  };
}

/** Usage of an answer; null if it has no usage object. `most`: of one count, if not those of a call. */
export function usageOf(response: JsonObject, most?: number): Usage | null {
  const usage = response["usage"];
  if (!isObject(usage)) return null;
  const counts = new Counts(most);
  const input = member(usage, "input_tokens_details");
  const output = member(usage, "output_tokens_details");
  const prompt = counts.of(usage["input_tokens"]);
  const completion = counts.of(usage["output_tokens"]);
  const reasoning = counts.of(output["reasoning_tokens"]);
  return counts.usage(
    {
      prompt,
      cachedPrompt: counts.of(input["cached_tokens"]),
      cacheWrite: counts.of(input["cache_write_tokens"]),
      ...withHidden({ prompt, completion, reasoning }, counts.of(usage["total_tokens"])),
    },
    {
      units: {
        inputAudio: counts.of(input["audio_tokens"]),
        inputImage: counts.of(input["image_tokens"]),
        outputAudio: counts.of(output["audio_tokens"]),
        outputImage: counts.of(output["image_tokens"]),
        ...toolUses(response["output"]),
      },
      modes: [tierMode(response["service_tier"])],
    },
  );
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
