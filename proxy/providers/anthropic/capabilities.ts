import type { Capabilities } from "../../config/capabilities.ts";

export const capabilities: Capabilities = {
  type: "Anthropic",
  title: "Anthropic",
  genAiName: "anthropic",
  defaultEndpoint: "https://api.anthropic.com",
  example: { model: { name: "claude-sonnet-4-5" } },
  passthrough: ["anthropic.messages"],
  translated: ["openai.chat", "openai.completions", "openai.responses"],
  options: {
    version: {
      required: false,
      description: "Sent as anthropic-version.",
      default: "2023-06-01",
      pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
      form: "an API version date, such as 2023-06-01",
    },
    beta: {
      required: false,
      description:
        "Sent as anthropic-beta, together with what a caller of the Messages API sends. Separate several names with commas.",
      pattern: "^[a-z0-9-]{1,64}(,[a-z0-9-]{1,64}){0,15}$",
      form: "names in lower case, with commas and no spaces between them, such as files-api-2025-04-14",
    },
    structuredOutputs: {
      required: false,
      description:
        "Auto: decided by the model's name. Native: a JSON schema is sent as output_config.format, and strict tools as strict. Refuse: for models that support neither.",
      default: "Auto",
      pattern: "^(Auto|Native|Refuse)$",
    },
    thinking: {
      required: false,
      description:
        "How reasoning_effort is sent. Auto: decided by the model's name. Adaptive: output_config.effort with adaptive thinking (Claude 4.6 and later). Budget: thinking with a token budget, for older models.",
      default: "Auto",
      pattern: "^(Auto|Adaptive|Budget)$",
    },
    sampling: {
      required: false,
      description:
        "How temperature, top_p and top_k are handled. Auto: decided by the model's name. Pass: they are sent. Drop: they are left out, for models that refuse them (Claude Opus 4.7 and later).",
      default: "Auto",
      pattern: "^(Auto|Pass|Drop)$",
    },
  },
  credentials: [{ name: "apiKey", required: true, description: "API key, sent as x-api-key." }],
  credentialsRequired: true,
  sets: { headers: ["anthropic-beta", "anthropic-version"], credential: ["x-api-key"] },
  parameters: {
    temperature: "native",
    top_p: "native",
    n: "refused",
    stop: "mapped",
    seed: "dropped",
    presence_penalty: "dropped",
    frequency_penalty: "dropped",
    logit_bias: "refused",
    logprobs: "refused",
    tools: "mapped",
    tool_choice: "mapped",
    parallel_tool_calls: "mapped",
    "response_format.json_object": "mapped",
    "response_format.json_schema": "mapped",
    reasoning_effort: "mapped",
    user: "mapped",
    image_data: "mapped",
    image_url: "mapped",
    input_audio: "refused",
    max_tokens: "mapped",
    metadata: "dropped",
    store: "dropped",
    service_tier: "dropped",
  },
  resources: true,
  resourceApi: "Messages",
  discovers: true,
  pricesFrom: "anthropic",
  // https://platform.claude.com/docs/en/about-claude/pricing: batches, fast mode, data residency.
  priceModes: { usual: { batch: 500_000, fast: 6_000_000, "geo-us": 1_100_000 } },
  steering: {
    // Takes precedence over the account's own setting: https://platform.claude.com/docs/en/manage-claude/data-residency
    region: ["inference_geo"],
    // https://platform.claude.com/docs/en/build-with-claude/fast-mode
    price: { speed: ["fast"] },
  },
  // https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use
  bounds: {
    toolName: { characters: "A-Za-z0-9_-", longest: 64 },
    callId: { characters: "A-Za-z0-9_-", longest: 64 },
    user: 256,
  },
  carries: { cacheMarks: true, toolMedia: true, toolErrors: true, systemAnywhere: true, documentCitations: true },
};
