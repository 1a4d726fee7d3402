/**
 * Amazon Bedrock: Converse (https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html), one format
 * for models of many vendors; Claude by InvokeModel; and its OpenAI-compatible endpoint.
 */

import type { Capabilities, WireFormat } from "../../config/capabilities.ts";
import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { provider as anthropic } from "../anthropic/index.ts";
import { claudeFacts } from "../anthropic/models.ts";
import { countIn } from "../anthropic/token-count.ts";
import { rerankDrops, rerankEdits } from "../cohere/rerank.ts";
import { maxOutputBy } from "../model-facts.ts";
import { decodeOpenAiError } from "../openai/failure.ts";
import { cloudDrops, cloudEdits, mended } from "../openai/mend.ts";
import { passthroughChat } from "../openai/request.ts";
import type { CallOptions, ChatCall, Provider, ProviderAccount, ProviderModel } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { bedrockEmbeddings } from "./embeddings.ts";
import { decodeError } from "./failure.ts";
import { familyOf } from "./families.ts";
import { invokeChat } from "./invoke.ts";
import { isMessages, messagesChat, messagesHeaders, messagesPath } from "./messages.ts";
import { bedrockModels } from "./model-list.ts";
import { decodeReply, text } from "./reply.ts";
import { encodeRequest } from "./request.ts";
import { authorize, renewSession } from "./sign.ts";
import { converseDecoder } from "./stream.ts";
import { novaSearches } from "./tools.ts";

/**
 * Encodes one path segment: model ids contain `:`, and ARNs also `/`. The signature's rules (RFC 3986) encode more
 * characters than JavaScript does.
 */
function segment(id: string): string {
  return encodeURIComponent(id).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

const modelPath = ({ basePath }: ProviderAccount, { config }: ProviderModel): string =>
  `${basePath}/model/${segment(config.upstream)}`;

/**
 * Tokens are counted for a model, not for an inference profile
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/count-tokens.html).
 */
const baseModel = (upstream: string): string => upstream.replace(/^(us|us-gov|eu|apac|jp|au|ca|sa|global)\./, "");

/** https://docs.aws.amazon.com/bedrock/latest/userguide/inference-chat-completions.html */
const openAiAccount = (account: ProviderAccount): ProviderAccount => ({
  ...account,
  basePath: `${account.basePath.replace(/\/openai(\/v1)?$/, "")}/openai/v1`,
});

function chat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const { api } = account.config.options;
  if (api === "OpenAI")
    return passthroughChat(mended(request, account, model, false), openAiAccount(account), model, options);
  if (api === "Messages") return messagesChat(request, account, model, options);
  if (api === "InvokeModel") return invokeChat(request, modelPath(account, model), account, model, options);
  const encoded = encodeRequest(request, account, model, options.forwarded?.["anthropic-beta"]);
  if (isRefusal(encoded)) return encoded;
  const { upstream } = model.config;
  return {
    path: `${modelPath(account, model)}/${options.stream ? "converse-stream" : "converse"}`,
    headers: { accept: options.stream ? "application/vnd.amazon.eventstream" : "application/json" },
    body: JSON.stringify(encoded.body),
    dropped: encoded.dropped,
    decodeReply: (body, headers) => decodeReply(body, text(headers["x-amzn-requestid"]), upstream),
    decoder: converseDecoder,
  };
}

/** Models of Cohere and Amazon that rerank (https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html). */
const reranks = ({ config }: ProviderModel): boolean => /(^|[./])(cohere|amazon)\.rerank/.test(config.upstream);

function passthroughPath(format: WireFormat, account: ProviderAccount, model: ProviderModel): string | null {
  if (format === "cohere.rerank") return reranks(model) ? `${modelPath(account, model)}/invoke` : null;
  if (format === "anthropic.messages") return isMessages(account) ? messagesPath(account) : null;
  return format === "openai.chat" && account.config.options["api"] === "OpenAI"
    ? `${openAiAccount(account).basePath}/chat/completions`
    : null;
}

/** The model is in the path, and Cohere's models ask for the version of their API. */
const ownMembers = ({ config }: ProviderModel) => ({
  model: undefined,
  ...(/(^|[./])cohere\./.test(config.upstream) ? { api_version: 2 } : {}),
});

/** Only Claude's family has marks for the prompt cache here, and places in documents. */
function carries(account: ProviderAccount, model: ProviderModel): Capabilities["carries"] {
  if (account.config.options["api"] === "OpenAI") return { systemAnywhere: true };
  if (familyOf(account, model) === "Claude") return capabilities.carries;
  const { cacheMarks: _marks, ...others } = capabilities.carries ?? {};
  return others;
}

export const provider: Provider = {
  capabilities,
  carries,
  passthroughPath,
  passthroughEdits(format, account, model, body) {
    if (format === "anthropic.messages") return anthropic.passthroughEdits?.(format, account, model, body) ?? {};
    if (format === "openai.chat") return cloudEdits(body);
    return format === "cohere.rerank" ? { ...rerankEdits(body), ...ownMembers(model) } : {};
  },
  passthroughHeaders: (headers, account, model) =>
    isMessages(account) ? messagesHeaders(headers, model) : { ...headers },
  passthroughDrops: (format, body) => {
    if (format === "openai.chat") return cloudDrops(body);
    return format === "cohere.rerank" ? rerankDrops(body) : [];
  },
  maxOutput: maxOutputBy(claudeFacts),
  modelList: bedrockModels,
  authorize,
  searches(request, account, model) {
    const { api = "Converse", region = "" } = account.config.options;
    const { upstream } = model.config;
    return api === "Converse" && novaSearches(request, familyOf(account, model), { upstream, region });
  },
  chat,
  embeddings: (request, account, model) => bedrockEmbeddings(request, modelPath(account, model), model),
  tokenCount({ request }, account, model) {
    if (account.config.options["api"] === "OpenAI" || isMessages(account)) return null;
    const encoded = encodeRequest(request, account, model);
    if (isRefusal(encoded)) return encoded;
    const { messages, system, toolConfig } = encoded.body;
    return {
      path: `${account.basePath}/model/${segment(baseModel(model.config.upstream))}/count-tokens`,
      body: JSON.stringify({ input: { converse: { messages, system, toolConfig } } }),
      read: countIn("inputTokens"),
    };
  },
  decodeError(reply) {
    if (isObject(reply.body) && reply.body["type"] === "error") return anthropic.decodeError(reply);
    return isObject(reply.body) && isObject(reply.body["error"]) ? decodeOpenAiError(reply) : decodeError(reply);
  },
  renew: renewSession,
};
