import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "OpenAICompatible",
  title: "OpenAI-compatible server (vLLM, Ollama, and others)",
  defaultEndpoint: null,
  passthrough: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses"],
  translated: ["anthropic.messages"],
  options: {},
  credentials: [{ name: "apiKey", required: false, description: "API key, sent as a bearer token where the server wants one." }],
  credentialsRequired: false,
  parameters: {},
  resources: true,
  pricesFrom: null,
};
