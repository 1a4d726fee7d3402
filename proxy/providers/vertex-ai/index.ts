/**
 * Google Vertex AI (https://cloud.google.com/vertex-ai/generative-ai/docs): Gemini in its own format, Claude in
 * Anthropic's, and other publishers' models in OpenAI's, each at a separate path; rankers at a separate host.
 */
import type { Capabilities, WireFormat } from "../../config/capabilities.ts";
import { type ChatRequest, isRefusal, type Refusal, refusal } from "../../dialects/canonical.ts";
import { webSearch } from "../../dialects/web-search.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import { vertexBetas, withBetas } from "../anthropic/betas.ts";
import { capabilities as anthropicCapabilities } from "../anthropic/capabilities.ts";
import { decodeError as decodeClaudeError } from "../anthropic/failure.ts";
import { provider as anthropic } from "../anthropic/index.ts";
import { decodeReply } from "../anthropic/reply.ts";
import { encodeRequest } from "../anthropic/request.ts";
import { anthropicDecoder } from "../anthropic/stream.ts";
import { claudeTokenCount } from "../anthropic/token-count.ts";
import { claudeSearches } from "../anthropic/tools.ts";
import { boundedRequest } from "../bounds.ts";
import { capabilities as geminiCapabilities } from "../gemini/capabilities.ts";
import { decodeGeminiError } from "../gemini/failure.ts";
import { type GeminiApi, geminiChat } from "../gemini/request.ts";
import { geminiSearches } from "../gemini/search.ts";
import { geminiTokenCount } from "../gemini/token-count.ts";
import { cloudDrops, cloudEdits, mended } from "../openai/mend.ts";
import { passthroughChat } from "../openai/request.ts";
import type {
  AuthEnvironment,
  CallOptions,
  ChatCall,
  Outgoing,
  Provider,
  ProviderAccount,
  ProviderModel,
} from "../provider.ts";
import { apiOf, claudeCountPath, claudePath, geminiBase, openAiBase, type VertexApi } from "./address.ts";
import { capabilities } from "./capabilities.ts";
import { vertexEmbeddings } from "./embeddings.ts";
import { vertexModels } from "./model-list.ts";
import { vertexRerank } from "./rerank.ts";
import { accountToken, accountTokenKey, cloudScope } from "./service-account.ts";

/** https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude/web-search */
const searchBeta = "web-search-2025-03-05";

/** Here the version belongs in the body, and the model in the path. */
const claudeVersion = "vertex-2023-10-16";

function claudeChat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const wished = [options.forwarded?.["anthropic-beta"] ?? "", request[webSearch] === undefined ? "" : searchBeta];
  const own = boundedRequest(request, anthropicCapabilities.bounds).request;
  const encoded = encodeRequest(own, account, model, options);
  if (isRefusal(encoded)) return encoded;
  const { model: _model, ...body } = encoded.body;
  return {
    path: claudePath(account, model, options.stream),
    headers: withBetas({ "anthropic-beta": wished.join(",") }, vertexBetas, model.config.upstream),
    body: JSON.stringify({ anthropic_version: claudeVersion, ...body }),
    dropped: encoded.dropped,
    decodeReply,
    decoder: anthropicDecoder,
  };
}

/** Google's SDKs refuse ids of calls for Vertex AI. */
const ofVertex: GeminiApi = { callIds: false, excludesDomains: true };

function chat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  switch (apiOf(account, model)) {
    case "Ranking":
      return refusal("model", "This model only ranks documents. Call POST /v1/rerank.");
    case "Claude":
      return claudeChat(request, account, model, options);
    case "OpenAI":
      return passthroughChat(
        mended(request, account, model, false),
        { ...account, basePath: openAiBase(account) },
        model,
        options,
      );
    default:
      return geminiChat(request, { ...account, basePath: geminiBase(account) }, model, options, ofVertex);
  }
}

/** Bodies in OpenAI's format need only the model's name, which the pipeline sets. */
function passthroughPath(
  format: WireFormat,
  account: ProviderAccount,
  model: ProviderModel,
  stream = false,
): string | null {
  const api = apiOf(account, model);
  if (format === "anthropic.messages" && api === "Claude") return claudePath(account, model, stream);
  return format === "openai.chat" && api === "OpenAI" ? `${openAiBase(account)}/chat/completions` : null;
}

const carried: Record<VertexApi, Capabilities["carries"]> = {
  Gemini: geminiCapabilities.carries,
  Claude: anthropicCapabilities.carries,
  OpenAI: capabilities.carries,
  Ranking: capabilities.carries,
};

/** https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/count-tokens */
const countMembers = ({ contents, systemInstruction, tools, generationConfig }: JsonObject): JsonObject => ({
  contents,
  systemInstruction,
  tools,
  generationConfig,
});

function authorize(outgoing: Outgoing, account: ProviderAccount, env: AuthEnvironment): Outgoing | Promise<Outgoing> {
  // In the body here.
  delete outgoing.headers["anthropic-version"];
  const { apiKey, serviceAccountJson } = account.credentials;
  const hasIdentity = account.config.identity !== undefined;
  if (!hasIdentity && serviceAccountJson === undefined) {
    if (apiKey !== undefined) outgoing.headers["x-goog-api-key"] = apiKey;
    return outgoing;
  }
  const token = hasIdentity ? env.cloud.bearer(account, cloudScope) : accountToken(account, env);
  return token.then((bearer) => {
    outgoing.headers["authorization"] = `Bearer ${bearer}`;
    return outgoing;
  });
}

export const provider: Provider = {
  capabilities,
  carries: (account, model) => carried[apiOf(account, model)],
  passthroughPath,
  passthroughEdits: (format, account, model, body) =>
    format === "anthropic.messages"
      ? {
          ...anthropic.passthroughEdits?.(format, account, model, body),
          model: undefined,
          anthropic_version: claudeVersion,
        }
      : format === "openai.chat"
        ? cloudEdits(body)
        : {},
  passthroughDrops: (format, body) => (format === "openai.chat" ? cloudDrops(body) : []),
  passthroughHeaders: (headers, account, model) =>
    apiOf(account, model) === "Claude" ? withBetas(headers, vertexBetas, model.config.upstream) : { ...headers },
  authorize,
  modelList: vertexModels,
  searches(request, account, model) {
    const api = apiOf(account, model);
    if (api === "Claude") return claudeSearches(request, model.config.upstream);
    return api === "Gemini" && geminiSearches(request, model.config.upstream, ofVertex);
  },
  chat,
  tokenCount(prompt, account, model) {
    const api = apiOf(account, model);
    if (api === "Gemini")
      return geminiTokenCount(
        prompt.request,
        { ...account, basePath: geminiBase(account) },
        model,
        countMembers,
        ofVertex,
      );
    const own = { anthropic_version: claudeVersion };
    return api === "Claude" ? claudeTokenCount(claudeCountPath(account), prompt, account, model, own) : null;
  },
  embeddings: vertexEmbeddings,
  rerank: (account, model) =>
    apiOf(account, model) === "Ranking" ? (body) => vertexRerank(body, account, model) : null,
  // Errors of Claude itself are in Anthropic's envelope, those of Google's front end in Google's.
  decodeError: (reply) =>
    isObject(reply.body) && reply.body["type"] === "error" ? decodeClaudeError(reply) : decodeGeminiError(reply),
  renew(account, reply, env) {
    if (reply.status !== 401) return false;
    if (account.config.identity !== undefined) env.cloud.forget(account);
    else if (account.credentials["serviceAccountJson"] !== undefined) env.forget(accountTokenKey(account));
    else return false;
    return true;
  },
};
