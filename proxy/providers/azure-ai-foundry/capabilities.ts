import type { Capabilities } from "../../config/capabilities.ts";
import { claudeOptions } from "../anthropic/shared-options.ts";
import { azureCredentialSets, azureCredentials, azureOptions } from "../azure-openai/shared-options.ts";

export const capabilities: Capabilities = {
  type: "AzureAIFoundry",
  title: "Azure AI Foundry (Claude and other models on Azure)",
  defaultEndpoint: null,
  example: {
    endpoint: "https://contoso.services.ai.azure.com",
    model: { name: "claude-sonnet-4-5" },
  },
  passthrough: [
    "openai.images",
    "openai.image_edits",
    "openai.speech",
    "openai.transcriptions",
    "openai.translations",
    "cohere.rerank",
  ],
  translated: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"],
  options: {
    api: {
      required: false,
      description:
        "Auto: Claude for deployments whose name begins with claude, OpenAI for others. Set it for names that don't show the API.",
      default: "Auto",
      pattern: "^(Auto|Claude|OpenAI)$",
    },
    maxTokensField: {
      required: false,
      default: "AsSent",
      pattern: "^(AsSent|max_tokens|max_completion_tokens)$",
      description:
        "Name under which a chat's token limit is sent to models of the OpenAI API. AsSent: as the caller sent it.",
    },
    thinking: {
      required: false,
      description: "Claude: how reasoning_effort is sent. Adaptive: for 4.6 and later. Budget: for older models.",
      default: "Adaptive",
      pattern: "^(Adaptive|Budget)$",
    },
    ...claudeOptions,
    ...azureOptions("https://ai.azure.com/.default"),
  },
  credentials: azureCredentials,
  credentialSets: azureCredentialSets,
  credentialsRequired: true,
  sets: { headers: ["anthropic-beta", "anthropic-version", "openai-beta"], credential: ["api-key", "authorization"] },
  identity: "azure",
  tokenServiceOption: "authority",
  parameters: {
    temperature: "native",
    top_p: "native",
    tools: "mapped",
    tool_choice: "mapped",
    "response_format.json_schema": "mapped",
    reasoning_effort: "mapped",
    image_data: "mapped",
    image_url: "mapped",
    max_tokens: "mapped",
  },
  resources: false,
  discovers: true,
  pricesFrom: "azure",
};
