/** Token counts of Gemini (https://ai.google.dev/api/tokens). */
import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import { isObject, type JsonObject, jsonIn } from "../../wire/json.ts";
import { countIn } from "../anthropic/token-count.ts";
import type { ProviderAccount, ProviderModel, TokenCountCall } from "../provider.ts";
import { type GeminiApi, geminiChat, modelPath } from "./request.ts";

/** `form`: the question for a request's body. */
export function geminiTokenCount(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  form: (body: JsonObject) => JsonObject,
  api?: GeminiApi,
): TokenCountCall | Refusal {
  const call = geminiChat(request, account, model, { stream: false, deadlineMs: 0 }, api);
  if (isRefusal(call)) return call;
  const body = jsonIn(call.body);
  return {
    path: `${account.basePath}/${modelPath(model.config.upstream)}:countTokens`,
    body: JSON.stringify(form(isObject(body) ? body : {})),
    read: countIn("totalTokens"),
  };
}
