import type { Capabilities } from "../../config/capabilities.ts";
import { mediaPrices, priorityFactors } from "./shared-prices.ts";

export const capabilities: Capabilities = {
  type: "OpenAI",
  title: "OpenAI",
  defaultEndpoint: "https://api.openai.com/v1",
  example: { model: { name: "gpt-4o" } },
  passthrough: [
    "openai.chat",
    "openai.completions",
    "openai.embeddings",
    "openai.responses",
    "openai.images",
    "openai.image_edits",
    "openai.image_variations",
    "openai.speech",
    "openai.transcriptions",
    "openai.translations",
    "openai.moderations",
  ],
  translated: ["anthropic.messages"],
  options: {
    organization: {
      required: false,
      description: "Sent as OpenAI-Organization.",
      pattern: "^[A-Za-z0-9_-]{1,128}$",
      form: "the organization's id, such as org-abc123",
    },
    project: {
      required: false,
      description: "Sent as OpenAI-Project.",
      pattern: "^[A-Za-z0-9_-]{1,128}$",
      form: "the project's id, such as proj_abc123",
    },
    maxTokensField: {
      required: false,
      default: "Auto",
      pattern: "^(Auto|AsSent|max_tokens|max_completion_tokens)$",
      description:
        "Name under which a chat's token limit is sent. Auto: max_completion_tokens for models that refuse max_tokens, otherwise as the caller sent it.",
    },
  },
  credentials: [{ name: "apiKey", required: true, description: "API key, sent as a bearer token." }],
  credentialsRequired: true,
  sets: { headers: ["openai-beta", "openai-organization", "openai-project"], credential: ["authorization"] },
  parameters: {},
  resources: true,
  discovers: true,
  pricesFrom: "openai",
  // ft:BASE:ORGANIZATION:NAME:ID
  priceNames: ["^ft:([^:]+)(?::|$)"],
  fineTunedNames: "^ft:",
  // https://platform.openai.com/docs/pricing
  measuredPrices: [...mediaPrices, { models: "^(omni|text)-moderation" }],
  // Half price for batch and flex: https://platform.openai.com/docs/pricing. Priority, also called fast, depends on the
  // model: https://openai.com/api-priority-processing
  priceModes: {
    usual: { batch: 500_000, flex: 500_000, priority: 2_500_000, fast: 2_500_000, "fine-tuned": 6_000_000 },
    byModel: {
      // Published prices are those of the base models: https://platform.openai.com/docs/pricing#fine-tuning
      "fine-tuned": {
        "gpt-4.1-mini": 2_000_000,
        "gpt-4.1-nano": 2_000_000,
        "gpt-4.1-": 1_500_000,
        "gpt-4o-mini": 2_000_000,
        "gpt-4o-": 1_500_000,
        "o4-mini": 3_636_364,
      },
      priority: priorityFactors,
    },
  },
  // Priority processing, under either name: https://openai.com/api-fast-mode/
  steering: { price: { service_tier: ["priority", "fast"] } },
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
