/** Azure OpenAI: OpenAI's format, with its own paths and authentication. */

import { isRefusal } from "../../dialects/canonical.ts";
import { maxOutputBy } from "../model-facts.ts";
import { mended, openAiDrops, openAiEdits } from "../openai/mend.ts";
import { openAiFacts } from "../openai/models.ts";
import { passthroughChat, passthroughEmbeddings } from "../openai/request.ts";
import { needsResponses } from "../openai/responses/choice.ts";
import { responsesChat } from "../openai/responses/request.ts";
import { openAiTokenCount } from "../openai/token-count.ts";
import type { Provider } from "../provider.ts";
import { pathOf, resourcePathOf } from "./address.ts";
import { capabilities } from "./capabilities.ts";
import { decodeAzureError } from "./failure.ts";
import { azureDeployments } from "./model-list.ts";
import { authorizeAzure, renewAzure } from "./token.ts";

export const provider: Provider = {
  capabilities,
  passthroughPath: pathOf,
  compactPath: (account) => resourcePathOf("/responses/compact", account),
  passthroughEdits: openAiEdits,
  passthroughDrops: openAiDrops,
  maxOutput: maxOutputBy(openAiFacts),
  modelList: azureDeployments,
  authorize: authorizeAzure,
  translatesChat: (body, account, model) =>
    resourcePathOf("/responses", account) !== null && needsResponses(body, model.config.upstream),
  chat(request, account, model, options) {
    const path = resourcePathOf("/responses", account);
    if (path !== null && needsResponses(request, model.config.upstream))
      return responsesChat(request, { account, model, path }, options);
    const call = passthroughChat(mended(request, account, model, true), account, model, options);
    return isRefusal(call) ? call : { ...call, path: pathOf("openai.chat", account, model) ?? "" };
  },
  embeddings: (request, account, model) => ({
    ...passthroughEmbeddings(request, account, model),
    path: pathOf("openai.embeddings", account, model) ?? "",
  }),
  tokenCount: (prompt, account, model) => {
    const path = resourcePathOf("/responses", account);
    return path === null ? null : openAiTokenCount(path, prompt, model);
  },
  decodeError: decodeAzureError,
  resourcePath: resourcePathOf,
  renew: renewAzure,
};
