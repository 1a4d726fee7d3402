/** Token counts of Anthropic's API (https://platform.claude.com/docs/en/build-with-claude/token-counting). */
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { TokenCountCall } from "../provider.ts";

/** Members that say what the answer may be, which only a call for an answer has. */
const ofAnswers: ReadonlySet<string> = new Set([
  ...["max_tokens", "stream", "metadata", "stop_sequences", "temperature", "top_k", "top_p", "service_tier"],
]);

export const countIn =
  (member: string) =>
  (body: unknown): number | null => {
    const count = isObject(body) ? body[member] : null;
    return Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : null;
  };

/** The caller's body, with the provider's name for the model. */
export function claudeTokenCount(path: string, body: JsonObject, own: JsonObject): TokenCountCall {
  const asked = Object.entries(body).filter(([name]) => !ofAnswers.has(name));
  return { path, body: JSON.stringify({ ...Object.fromEntries(asked), ...own }), read: countIn("input_tokens") };
}
