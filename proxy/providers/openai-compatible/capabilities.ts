import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "OpenAICompatible",
  title: "OpenAI-compatible server (vLLM, Ollama, and others)",
  defaultEndpoint: null,
  passthrough: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses"],
  translated: ["anthropic.messages"],
  options: {
    maxTokensField: {
      required: false,
      default: "AsSent",
      pattern: "^(AsSent|max_tokens|max_completion_tokens)$",
      description:
        "Name under which a chat's token limit is sent. max_tokens: for servers that accept only this name. AsSent: as the caller sent it.",
    },
    responses: {
      required: false,
      default: "Native",
      pattern: "^(Native|Translate)$",
      description: "Calls of /responses. Native: passed through. Translate: sent as a chat, for servers without it.",
    },
    completions: {
      required: false,
      default: "Native",
      pattern: "^(Native|Translate)$",
      description:
        "Calls of /completions, OpenAI's older format. Native: passed through. Translate: sent as a chat, for servers without it.",
    },
  },
  credentials: [
    { name: "apiKey", required: false, description: "API key, sent as a bearer token, if the server requires one." },
  ],
  credentialsRequired: false,
  parameters: {},
  resources: true,
  pricesFrom: null,
  // Gateways such as OpenRouter accept a list of fallback models:
  // https://openrouter.ai/docs/guides/routing/model-fallbacks
  steering: { models: ["models", "fallbacks"] },
  // Unknown, so those of OpenAI, which clients of such servers keep to.
  bounds: {
    toolName: { characters: "A-Za-z0-9_-", longest: 64 },
    callId: { characters: "A-Za-z0-9_-", longest: 40 },
    label: { characters: "A-Za-z0-9_-", longest: 64 },
    user: 64,
    metadata: { pairs: 16, name: 64, value: 512 },
  },
};
