import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "Gemini",
  title: "Google Gemini",
  genAiName: "gcp.gemini",
  defaultEndpoint: "https://generativelanguage.googleapis.com/v1beta",
  example: { model: { name: "gemini-2.5-flash" } },
  passthrough: [],
  translated: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"],
  options: {
    schemas: {
      required: false,
      description:
        "How schemas of tools and answers are sent. JsonSchema: unchanged, for Gemini 2.5 and later. OpenApi: reduced to the older OpenAPI subset. If not set, decided by the model's name.",
      pattern: "^(JsonSchema|OpenApi)$",
    },
    thinking: {
      required: false,
      description:
        "How `reasoning_effort` is sent. Level: for Gemini 3 and later. Budget: for Gemini 2.5. If not set, decided by the model's name.",
      pattern: "^(Level|Budget)$",
    },
  },
  credentials: [{ name: "apiKey", required: true, description: "API key, sent as x-goog-api-key." }],
  credentialsRequired: true,
  sets: { credential: ["x-goog-api-key"], query: ["alt", "key"] },
  parameters: {
    max_tokens: "mapped",
    temperature: "native",
    top_p: "mapped",
    n: "mapped",
    stop: "mapped",
    seed: "native",
    presence_penalty: "mapped",
    frequency_penalty: "mapped",
    logit_bias: "dropped",
    logprobs: "mapped",
    tools: "mapped",
    tool_choice: "mapped",
    parallel_tool_calls: "mapped",
    "response_format.json_object": "mapped",
    "response_format.json_schema": "mapped",
    reasoning_effort: "mapped",
    user: "dropped",
    image_data: "mapped",
    image_url: "mapped",
    input_audio: "mapped",
    metadata: "dropped",
    store: "dropped",
    service_tier: "mapped",
  },
  resources: false,
  discovers: true,
  pricesFrom: "google",
  // https://ai.google.dev/gemini-api/docs/pricing
  // Priority costs more: https://ai.google.dev/gemini-api/docs/pricing
  steering: { price: { service_tier: ["priority"] } },
  priceModes: { usual: { batch: 500_000, flex: 500_000, priority: 1_800_000 } },
  // https://ai.google.dev/api/caching#FunctionDeclaration. Ids carry thought signatures.
  bounds: { toolName: { characters: "A-Za-z0-9_.-", first: "A-Za-z_", longest: 64 } },
  carries: {
    toolMedia: true,
    toolErrors: true,
    systemAnywhere: true,
    assistantImages: true,
    imageModality: true,
  },
};
