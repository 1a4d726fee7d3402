import type { Capabilities } from "../../config/capabilities.ts";

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
  measuredPrices: [
    {
      models: "^dall-e-3",
      perImage: [
        { size: "1024x1024", quality: "standard", usd: 0.04 },
        { size: "1024x1024", quality: "hd", usd: 0.08 },
        { size: "1024x1792", quality: "standard", usd: 0.08 },
        { size: "1792x1024", quality: "standard", usd: 0.08 },
        { size: "1024x1792", quality: "hd", usd: 0.12 },
        { size: "1792x1024", quality: "hd", usd: 0.12 },
      ],
    },
    {
      models: "^dall-e-2",
      perImage: [
        { size: "256x256", quality: "standard", usd: 0.016 },
        { size: "512x512", quality: "standard", usd: 0.018 },
        { size: "1024x1024", quality: "standard", usd: 0.02 },
      ],
    },
    { models: "^tts-1-hd", perMillionCharacters: 30 },
    { models: "^tts(-1)?($|-)", perMillionCharacters: 15 },
    { models: "^whisper(-1)?$", perHourOfAudio: 0.36 },
    { models: "^(omni|text)-moderation" },
  ],
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
      priority: {
        "gpt-4o-mini-2024": 1_666_667,
        "gpt-4o-mini-audio": 2_500_000,
        "gpt-4o-mini-": 1_666_667,
        "gpt-4o-2024-05-13": 1_750_000,
        "gpt-4o-2024": 1_700_000,
        "gpt-4o-audio": 2_500_000,
        "gpt-4o-": 1_700_000,
        "gpt-4.1-nano": 2_000_000,
        "gpt-4.1-": 1_750_000,
        "gpt-5-mini": 1_800_000,
        "gpt-5.4": 2_000_000,
        "gpt-5.2": 2_000_000,
        "gpt-5.1": 2_000_000,
        "gpt-5-pro": 2_500_000,
        "gpt-5-": 2_000_000,
        "o3-": 1_750_000,
        "o4-mini": 1_818_182,
      },
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
