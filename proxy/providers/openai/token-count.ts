/** Token counts of the Responses API (https://platform.openai.com/docs/api-reference/responses/input-tokens). */
import { countIn } from "../anthropic/token-count.ts";
import type { CountedPrompt, ProviderModel, TokenCountCall } from "../provider.ts";

/** Members of a request that its prompt depends on. The API refuses others. */
const ofPrompts: ReadonlySet<string> = new Set([
  ...["conversation", "input", "instructions", "model", "parallel_tool_calls", "previous_response_id", "reasoning"],
  ...["text", "tool_choice", "tools", "truncation"],
]);

/** Only of requests in this format. `responses`: the path of the Responses API. */
export function openAiTokenCount(
  responses: string,
  { body, format }: CountedPrompt,
  model: ProviderModel,
): TokenCountCall | null {
  if (format !== "openai.responses") return null;
  const requested = Object.entries(body).filter(([name]) => ofPrompts.has(name));
  const members = { ...Object.fromEntries(requested), model: model.config.upstream };
  return { path: `${responses}/input_tokens`, body: JSON.stringify(members), read: countIn("input_tokens") };
}
