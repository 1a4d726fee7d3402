/** IBM watsonx.ai: close to OpenAI's format, with its own paths and IBM Cloud tokens. */

import { type ChatReply, isRefusal, type ProviderError } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { namesIn, pathIn } from "../model-list.ts";
import { decodeChatReply } from "../openai/reply.ts";
import type { Provider, ProviderAccount } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { watsonxEmbeddings } from "./embeddings.ts";
import { decodeWatsonxError } from "./failure.ts";
import { encodeChat } from "./request.ts";
import { watsonxDecoder } from "./stream.ts";
import { iamToken, tokenKey } from "./token.ts";

function pathOf(account: ProviderAccount, operation: string): string {
  return `${account.basePath}/ml/v1/text/${operation}?version=${encodeURIComponent(account.config.options["version"] ?? "")}`;
}

/** watsonx's own members (model_version, system warnings) have no place in OpenAI's answer. */
function decodeReply(body: unknown): ChatReply | ProviderError {
  const reply = decodeChatReply(body);
  if (!("choices" in reply)) return reply;
  const model = isObject(body) && typeof body["model_id"] === "string" ? body["model_id"] : reply.model;
  return { ...reply, model, extra: {} };
}

export const provider: Provider = {
  capabilities,
  passthroughPath: () => null,
  // https://cloud.ibm.com/apidocs/watsonx-ai#list-foundation-model-specs
  modelList: {
    path: ({ basePath, config }) =>
      `${basePath}/ml/v1/foundation_model_specs?version=${encodeURIComponent(config.options["version"] ?? "")}&limit=200`,
    names: (body) => namesIn(body, "resources", "model_id"),
    next: (_path, body) => (isObject(body) && isObject(body["next"]) ? pathIn(body["next"]["href"]) : null),
  },
  async authorize(outgoing, account, env) {
    outgoing.headers["authorization"] = `Bearer ${await iamToken(account, env)}`;
    return outgoing;
  },
  chat(request, account, model, options) {
    const encoded = encodeChat(request, account, model, options);
    if (isRefusal(encoded)) return encoded;
    return {
      path: pathOf(account, options.stream ? "chat_stream" : "chat"),
      body: JSON.stringify(encoded.body),
      dropped: encoded.dropped,
      decodeReply,
      decoder: watsonxDecoder,
    };
  },
  embeddings: (request, account, model) => watsonxEmbeddings(request, account, model, pathOf(account, "embeddings")),
  decodeError: decodeWatsonxError,
  renew(account, reply, env) {
    if (reply.status !== 401) return false;
    env.forget(tokenKey(account));
    return true;
  },
};
