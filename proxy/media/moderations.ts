/** https://platform.openai.com/docs/api-reference/moderations */
import type { Usage } from "../dialects/canonical.ts";
import { Counts, member } from "../dialects/usage-counts.ts";
import type { JsonObject } from "../wire/json.ts";
import { byTokens, type MediaFormat, noUsage, roughTokens } from "./format.ts";

/** OpenAI charges nothing and reports nothing. Servers that charge report tokens. */
function usageOf(answer: JsonObject): Usage | null {
  const usage = member(answer, "usage");
  const counts = new Counts();
  const prompt = counts.of(usage["prompt_tokens"] ?? usage["input_tokens"]);
  return prompt === 0 ? null : counts.usage({ ...noUsage, prompt });
}

export const moderations: MediaFormat = {
  title: "moderation",
  body: "json",
  upload: null,
  settable: new Set(),
  answerKind: () => "json",
  usageOf,
  most: ({ json }, price) =>
    byTokens(price) ? { ...noUsage, prompt: JSON.stringify(json["input"] ?? "").length, estimated: true } : noUsage,
  expected: ({ json }, price) =>
    byTokens(price)
      ? { ...noUsage, prompt: roughTokens(JSON.stringify(json["input"] ?? "")), estimated: true }
      : noUsage,
};
