/** https://docs.sglang.ai/basic_usage/openai_api.html */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "SGLang",
  title: "SGLang",
  endpoint: null,
  example: "http://sglang.models.svc:30000/v1",
  pricesFrom: null,
  credentialsRequired: false,
  options: {
    reasoning: "Effort",
    surfaces: "Rerank",
    responses: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    unsupported: "store,metadata,service_tier",
  },
  model: { name: "qwen", upstream: "Qwen/Qwen3-32B" },
};
