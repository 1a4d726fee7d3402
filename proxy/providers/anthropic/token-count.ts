/** Token counts of Anthropic's API (https://platform.claude.com/docs/en/build-with-claude/token-counting). */
import { isRefusal, type Refusal } from "../../dialects/canonical.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import type { CountedPrompt, ProviderAccount, ProviderModel, TokenCountCall } from "../provider.ts";
import { encodeRequest } from "./request.ts";

/** Members about the answer, which a token count doesn't accept. */
const ofAnswers: ReadonlySet<string> = new Set([
  ...["max_tokens", "stream", "metadata", "stop_sequences", "temperature", "top_k", "top_p", "service_tier"],
]);

export const countIn =
  (member: string) =>
  (body: unknown): number | null => {
    const count = isObject(body) ? body[member] : null;
    return Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : null;
  };

/** The caller's body where it is in this format, with the provider's name for the model. `own`: further members. */
export function claudeTokenCount(
  path: string,
  { request, body, format }: CountedPrompt,
  account: ProviderAccount,
  model: ProviderModel,
  own: JsonObject,
): TokenCountCall | Refusal {
  const encoded =
    format === "anthropic.messages"
      ? { body }
      : encodeRequest(request, account, model, { stream: false, deadlineMs: 0 });
  if (isRefusal(encoded)) return encoded;
  const requested = Object.entries(encoded.body).filter(([name]) => !ofAnswers.has(name));
  const members = { ...Object.fromEntries(requested), ...own, model: model.config.upstream };
  return { path, body: JSON.stringify(members), read: countIn("input_tokens") };
}
