/**
 * Azure AI Foundry: Claude in Anthropic's format
 * (https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude), other models in
 * OpenAI's (https://learn.microsoft.com/azure/ai-foundry/foundry-models/concepts/endpoints).
 */
import type { WireFormat } from "../../config/capabilities.ts";
import { type ChatRequest, type Refusal, refusal } from "../../dialects/canonical.ts";
import { isObject } from "../../wire/json.ts";
import { capabilities as anthropicCapabilities } from "../anthropic/capabilities.ts";
import { provider as anthropic } from "../anthropic/index.ts";
import { claudeSearches } from "../anthropic/tools.ts";
import { decodeAzureError } from "../azure-openai/failure.ts";
import { azureDeployments } from "../azure-openai/model-list.ts";
import { authorizeAzure, renewAzure } from "../azure-openai/token.ts";
import { boundedRequest } from "../bounds.ts";
import { rerankDrops, rerankEdits } from "../cohere/rerank.ts";
import { openAiChat } from "../openai/chat.ts";
import { openAiDrops, openAiEdits } from "../openai/mend.ts";
import { passthroughEmbeddings } from "../openai/request.ts";
import { needsResponses } from "../openai/responses/choice.ts";
import { openAiTokenCount } from "../openai/token-count.ts";
import type {
  AuthEnvironment,
  CallOptions,
  ChatCall,
  Outgoing,
  Provider,
  ProviderAccount,
  ProviderModel,
} from "../provider.ts";
import { capabilities } from "./capabilities.ts";

const anthropicVersion = "2023-06-01";

function isClaude({ config }: ProviderAccount, model: ProviderModel): boolean {
  const { api } = config.options;
  return api === "Claude" || (api !== "OpenAI" && model.config.upstream.startsWith("claude"));
}

/** The endpoint is the resource's host, with or without a path of either API. */
const root = ({ basePath }: ProviderAccount): string => basePath.replace(/\/(anthropic|openai|models)(\/v1)?$/, "");
const claudeAccount = (account: ProviderAccount): ProviderAccount => ({
  ...account,
  basePath: `${root(account)}/anthropic`,
});
const openAiAccount = (account: ProviderAccount): ProviderAccount => ({
  ...account,
  basePath: `${root(account)}/openai/v1`,
});

/** https://docs.cohere.com/docs/cohere-on-microsoft-azure */
const rerankPath = (account: ProviderAccount): string => `${root(account)}/providers/cohere/v2/rerank`;

const openAiPaths: Partial<Record<WireFormat, string>> = {
  "openai.chat": "/chat/completions",
  "openai.embeddings": "/embeddings",
  "openai.responses": "/responses",
  "openai.images": "/images/generations",
  "openai.image_edits": "/images/edits",
  "openai.speech": "/audio/speech",
  "openai.transcriptions": "/audio/transcriptions",
  "openai.translations": "/audio/translations",
};

function passthroughPath(format: WireFormat, account: ProviderAccount, model: ProviderModel): string | null {
  if (isClaude(account, model)) return anthropic.passthroughPath(format, claudeAccount(account), model);
  if (format === "cohere.rerank") return rerankPath(account);
  const path = openAiPaths[format];
  return path === undefined ? null : openAiAccount(account).basePath + path;
}

function chat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  if (!isClaude(account, model)) return openAiChat(request, openAiAccount(account), model, options);
  const own = boundedRequest(request, anthropicCapabilities.bounds).request;
  return anthropic.chat?.(own, claudeAccount(account), model, options) as ChatCall | Refusal;
}

function authorize(outgoing: Outgoing, account: ProviderAccount, env: AuthEnvironment): Outgoing | Promise<Outgoing> {
  if (outgoing.path.includes("/anthropic/")) outgoing.headers["anthropic-version"] ??= anthropicVersion;
  return authorizeAzure(outgoing, account, env);
}

export const provider: Provider = {
  capabilities,
  carries: (account, model) => (isClaude(account, model) ? anthropicCapabilities.carries : capabilities.carries),
  passthroughPath,
  passthroughEdits: (format, account, model, body) =>
    format === "cohere.rerank"
      ? rerankEdits(body)
      : isClaude(account, model)
        ? (anthropic.passthroughEdits?.(format, account, model, body) ?? {})
        : openAiEdits(format, account, model, body),
  passthroughDrops: (format, body, account, model) => {
    if (format === "cohere.rerank") return rerankDrops(body);
    return isClaude(account, model) ? [] : openAiDrops(format, body, account, model);
  },
  // A Foundry resource is an account of Azure's AI services, as one of Azure OpenAI is.
  modelList: azureDeployments,
  authorize,
  translatesChat: (body, account, model) => !isClaude(account, model) && needsResponses(body, model.config.upstream),
  searches: (request, account, model) => isClaude(account, model) && claudeSearches(request, model.config.upstream),
  chat,
  embeddings: (request, account, model) =>
    isClaude(account, model)
      ? refusal("model", "Claude has no embeddings. Use another model.")
      : passthroughEmbeddings(request, openAiAccount(account), model),
  tokenCount: (prompt, account, model) =>
    isClaude(account, model)
      ? (anthropic.tokenCount?.(prompt, claudeAccount(account), model) ?? null)
      : openAiTokenCount(`${openAiAccount(account).basePath}/responses`, prompt, model),
  decodeError: (reply) =>
    isObject(reply.body) && reply.body["type"] === "error" ? anthropic.decodeError(reply) : decodeAzureError(reply),
  renew: renewAzure,
};
