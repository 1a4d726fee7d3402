/**
 * Anthropic's Messages (https://platform.claude.com/docs/en/api/overview). Requests from callers of the same API pass
 * through.
 */

import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import { maxOutputBy } from "../model-facts.ts";
import { namesIn } from "../model-list.ts";
import type { CallOptions, ChatCall, Outgoing, Provider, ProviderAccount, ProviderModel } from "../provider.ts";
import { betaNames } from "./betas.ts";
import { capabilities } from "./capabilities.ts";
import { decodeError } from "./failure.ts";
import { messagesEdits } from "./mend.ts";
import { claudeFacts } from "./models.ts";
import { decodeReply } from "./reply.ts";
import { encodeRequest } from "./request.ts";
import { anthropicDecoder } from "./stream.ts";
import { claudeTokenCount } from "./token-count.ts";
import { claudeSearches } from "./tools.ts";

const defaultVersion = "2023-06-01";

/** The SDKs' base URL has no `/v1`, unlike OpenAI's. An endpoint that ends in `/v1` is accepted too. */
function messagesPath(account: ProviderAccount): string {
  return `${account.basePath.replace(/\/v1$/, "")}/v1/messages`;
}

/** The names that the account's settings and the caller ask for, without duplicates. */
const betas = (...lists: (string | undefined)[]): string => [...new Set(lists.flatMap(betaNames))].join(",");

function authorize(outgoing: Outgoing, account: ProviderAccount): Outgoing {
  const { version, beta } = account.config.options;
  const headers: Record<string, string> = { "anthropic-version": version ?? defaultVersion, ...outgoing.headers };
  const requested = betas(beta, outgoing.headers["anthropic-beta"]);
  if (requested !== "") headers["anthropic-beta"] = requested;
  const key = account.credentials["apiKey"];
  if (key) headers["x-api-key"] = key;
  return { ...outgoing, headers };
}

function chat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const encoded = encodeRequest(request, account, model, options);
  if (isRefusal(encoded)) return encoded;
  return {
    path: messagesPath(account),
    body: JSON.stringify(encoded.body),
    dropped: encoded.dropped,
    decodeReply,
    decoder: anthropicDecoder,
  };
}

export const provider: Provider = {
  capabilities,
  modelList: {
    path: (account) => `${account.basePath.replace(/\/v1$/, "")}/v1/models?limit=1000`,
    names: (body) => namesIn(body, "data", "id"),
  },
  passthroughPath: (format, account) => (format === "anthropic.messages" ? messagesPath(account) : null),
  passthroughEdits: (format, _account, _model, body) => (format === "anthropic.messages" ? messagesEdits(body) : {}),
  maxOutput: maxOutputBy(claudeFacts),
  authorize,
  searches: (request, _account, model) => claudeSearches(request, model.config.upstream),
  chat,
  embeddings: null,
  tokenCount: (prompt, account, model) =>
    claudeTokenCount(`${messagesPath(account)}/count_tokens`, prompt, account, model, {}),
  decodeError,
  resourcePath: (path, account) =>
    /^\/(files|messages\/batches)(\/|$)/.test(path) ? `${account.basePath.replace(/\/v1$/, "")}/v1${path}` : null,
};
