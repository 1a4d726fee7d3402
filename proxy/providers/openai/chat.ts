/** Canonical request → the OpenAI API that accepts it. */
import type { ChatRequest, Refusal } from "../../dialects/canonical.ts";
import type { CallOptions, ChatCall, ProviderAccount, ProviderModel } from "../provider.ts";
import { mended } from "./mend.ts";
import { passthroughChat } from "./request.ts";
import { needsResponses } from "./responses/choice.ts";
import { responsesChat } from "./responses/request.ts";

export function openAiChat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  return needsResponses(request, model.config.upstream)
    ? responsesChat(request, { account, model, path: `${account.basePath}/responses` }, options)
    : passthroughChat(mended(request, account, model, true), account, model, options);
}
