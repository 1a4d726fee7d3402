import type { Capabilities } from "../../config/capabilities.ts";
import { presets } from "./presets.generated.ts";

export const capabilities: Capabilities = {
  type: "OpenAICompatible",
  title: "OpenAI-compatible server (vLLM, Ollama, and others)",
  defaultEndpoint: null,
  example: {
    endpoint: "https://llm.example.com/v1",
    model: { name: "llama", upstream: "meta-llama/Llama-3.3-70B-Instruct" },
  },
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
    "cohere.rerank",
  ],
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
    surfaces: {
      required: false,
      pattern:
        "^(Images|ImageEdits|ImageVariations|Speech|Transcriptions|Translations|Moderations|Rerank)(,(Images|ImageEdits|ImageVariations|Speech|Transcriptions|Translations|Moderations|Rerank))*$",
      form: "names with commas and no spaces between them, such as Images,Speech,Transcriptions or Rerank",
      description:
        "What the server has besides text and embeddings: Images, ImageEdits, ImageVariations, Speech, Transcriptions, Translations, Moderations, Rerank. Calls of others are not sent to it.",
    },
    developerRole: {
      required: false,
      pattern: "^(AsSent|System)$",
      description:
        "System: messages of the role developer are sent as system, for servers without that role. Absent or AsSent: unchanged.",
    },
    earlierReasoning: {
      required: false,
      pattern: "^(AsSent|Drop)$",
      description:
        "Reasoning in earlier answers of a conversation. Drop: left out, for servers that refuse members that they don't know in a message.",
    },
    reasoning: {
      required: false,
      pattern: "^(AsSent|Effort)$",
      description:
        "reasoning and thinking of a chat, in the words of OpenRouter, Anthropic or Qwen. Effort: sent as reasoning_effort, for servers that know only this name. Absent or AsSent: unchanged.",
    },
    messageNames: {
      required: false,
      pattern: "^(AsSent|Drop)$",
      description:
        "name of a message. Drop: left out and named in x-sluice-dropped-params, for servers that refuse it.",
    },
    stop: {
      required: false,
      pattern: "^(AsSent|List)$",
      description: "List: a single stop sequence is sent as a list, for servers that accept only lists.",
    },
    unsupported: {
      required: false,
      pattern: "^[a-z][a-z_]{0,39}(,[a-z][a-z_]{0,39}){0,19}$",
      form: "names of parameters with commas and no spaces between them, such as logit_bias,seed",
      description:
        "Parameters that the server refuses. They are left out of chats and named in x-sluice-dropped-params, or refused with unsupportedParameters: Refuse.",
    },
  },
  credentials: [
    { name: "apiKey", required: false, description: "API key, sent as a bearer token, if the server requires one." },
  ],
  credentialsRequired: false,
  sets: { headers: ["openai-beta"], credential: ["authorization"] },
  parameters: {},
  resources: true,
  discovers: true,
  pricesFrom: null,
  // Gateways such as OpenRouter accept a list of fallback models:
  // https://openrouter.ai/docs/guides/routing/model-fallbacks
  presets,
  steering: { models: ["models", "fallbacks"] },
  // Unknown, so OpenAI's are assumed, which clients of such servers follow.
  bounds: {
    toolName: { characters: "A-Za-z0-9_-", longest: 64 },
    callId: { characters: "A-Za-z0-9_-", longest: 40 },
    label: { characters: "A-Za-z0-9_-", longest: 64 },
    user: 64,
    metadata: { pairs: 16, name: 64, value: 512 },
  },
};
