import type { Capabilities } from "../../config/capabilities.ts";
import { priceModes } from "./price-modes.ts";

export const capabilities: Capabilities = {
  type: "OpenAI",
  title: "OpenAI",
  defaultEndpoint: "https://api.openai.com/v1",
  passthrough: ["openai.chat", "openai.completions", "openai.embeddings", "openai.responses"],
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
        "Name under which a chat's token limit is sent. Auto: max_completion_tokens to models that refuse the other, else as the caller sent it.",
    },
  },
  credentials: [{ name: "apiKey", required: true, description: "API key, sent as a bearer token." }],
  credentialsRequired: true,
  parameters: {},
  resources: true,
  pricesFrom: "openai",
  priceModes,
};
