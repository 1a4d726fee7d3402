/** Azure OpenAI: OpenAI's format, with its own paths and authentication. */
import { mended, openAiEdits } from "../openai/mend.ts";
import { passthroughChat, passthroughEmbeddings } from "../openai/request.ts";
import type { AuthEnvironment, Outgoing, Provider, ProviderAccount } from "../provider.ts";
import { pathOf, resourcePathOf } from "./address.ts";
import { capabilities } from "./capabilities.ts";
import { decodeAzureError } from "./failure.ts";
import { entraToken, tokenKey } from "./token.ts";

function authorize(outgoing: Outgoing, account: ProviderAccount, env: AuthEnvironment): Outgoing | Promise<Outgoing> {
  const { apiKey } = account.credentials;
  if (apiKey !== undefined) {
    outgoing.headers["api-key"] = apiKey;
    return outgoing;
  }
  return entraToken(account, env).then((token) => {
    outgoing.headers["authorization"] = `Bearer ${token}`;
    return outgoing;
  });
}

export const provider: Provider = {
  capabilities,
  passthroughPath: pathOf,
  passthroughEdits: openAiEdits,
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
    env.forget(tokenKey(account));
    return true;
  },
};
