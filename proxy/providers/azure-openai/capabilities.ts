import type { Capabilities } from "../../config/capabilities.ts";
import { mediaPrices, priorityFactors } from "../openai/shared-prices.ts";
import { azureCredentialSets, azureCredentials, azureOptions } from "./shared-options.ts";

export const capabilities: Capabilities = {
  type: "AzureOpenAI",
  title: "Azure OpenAI",
  genAiName: "azure.ai.openai",
  defaultEndpoint: null,
  // Under /openai/v1 it speaks OpenAI's own API.
  ownDomains: { names: ["openai.azure.com"], alsoUnder: "/openai/v1" },
  example: { endpoint: "https://contoso.openai.azure.com", model: { name: "gpt-4o", upstream: "prod-gpt-4o" } },
  passthrough: [
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.responses",
    "openai.images",
    "openai.image_edits",
    "openai.speech",
    "openai.transcriptions",
    "openai.translations",
  ],
  translated: ["anthropic.messages"],
  options: {
    surface: {
      required: false,
      default: "V1",
      pattern: "^(V1|Deployments)$",
      description:
        "V1: calls go to /openai/v1/…, with the deployment in the body. Deployments: calls go to /openai/deployments/NAME/…, with apiVersion.",
    },
    apiVersion: {
      required: false,
      default: "2024-10-21",
      pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$",
      form: "an API version date, such as 2024-10-21 or 2025-01-01-preview",
      description: "api-version sent with calls of the Deployments surface.",
    },
    maxTokensField: {
      required: false,
      default: "AsSent",
      pattern: "^(AsSent|max_tokens|max_completion_tokens)$",
      description:
        "Name under which a chat's token limit is sent, for deployments whose model or api-version accepts only one name. AsSent: as the caller sent it.",
    },
    ...azureOptions("https://cognitiveservices.azure.com/.default"),
  },
  credentials: azureCredentials,
  credentialSets: azureCredentialSets,
  credentialsRequired: true,
  sets: { headers: ["openai-beta"], credential: ["api-key", "authorization"], query: ["api-version"] },
  identity: "azure",
  discovers: true,
  tokenServiceOption: "authority",
  parameters: {},
  resources: true,
  pricesFrom: "azure",
  // https://azure.microsoft.com/pricing/details/cognitive-services/openai-service
  measuredPrices: mediaPrices,
  // Half price for batch and flex: https://platform.openai.com/docs/pricing. Priority, also called fast, depends on the
  // model: https://openai.com/api-priority-processing
  priceModes: {
    usual: { batch: 500_000, flex: 500_000, priority: 2_500_000, fast: 2_500_000 },
    byModel: {
      priority: priorityFactors,
    },
  },
  // https://platform.openai.com/docs/api-reference/chat/create
  bounds: {
    toolName: { characters: "A-Za-z0-9_-", longest: 64 },
    callId: { characters: "A-Za-z0-9_-", longest: 40 },
    label: { characters: "A-Za-z0-9_-", longest: 64 },
    user: 64,
    metadata: { pairs: 16, name: 64, value: 512 },
    refuses: true,
  },
  carries: { systemAnywhere: true },
};
