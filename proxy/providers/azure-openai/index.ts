/** Azure OpenAI: OpenAI's format, with its own paths and authentication. */

import { maxOutputBy } from "../model-facts.ts";
import { mended, openAiEdits } from "../openai/mend.ts";
import { openAiFacts } from "../openai/models.ts";
import { passthroughChat, passthroughEmbeddings } from "../openai/request.ts";
import type { AuthEnvironment, Outgoing, Provider, ProviderAccount } from "../provider.ts";
import { pathOf, resourcePathOf } from "./address.ts";
import { capabilities } from "./capabilities.ts";
import { decodeAzureError } from "./failure.ts";
import { entraToken, identityToken, tokenKey } from "./token.ts";

function authorize(outgoing: Outgoing, account: ProviderAccount, env: AuthEnvironment): Outgoing | Promise<Outgoing> {
  const { apiKey } = account.credentials;
  if (apiKey !== undefined) {
    outgoing.headers["api-key"] = apiKey;
    return outgoing;
  }
  const token = account.config.identity === undefined ? entraToken(account, env) : identityToken(account, env);
  return token.then((bearer) => {
    outgoing.headers["authorization"] = `Bearer ${bearer}`;
    return outgoing;
  });
}

export const provider: Provider = {
  capabilities,
  passthroughPath: pathOf,
  passthroughEdits: openAiEdits,
  maxOutput: maxOutputBy(openAiFacts),
  authorize,
  chat: (request, account, model, options) => ({
    ...passthroughChat(mended(request, account, model, true), account, model, options),
    path: pathOf("openai.chat", account, model) ?? "",
  }),
  embeddings: (request, account, model) => ({
    ...passthroughEmbeddings(request, account, model),
    path: pathOf("openai.embeddings", account, model) ?? "",
  }),
  decodeError: decodeAzureError,
  resourcePath: resourcePathOf,
  renew(account, reply, env) {
    if (account.credentials["apiKey"] !== undefined || reply.status !== 401) return false;
    if (account.config.identity !== undefined) env.cloud.forget(account);
    else env.forget(tokenKey(account));
    return true;
  },
};
