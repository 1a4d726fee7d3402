/** https://docs.fireworks.ai/tools-sdks/openai-compatibility */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Fireworks",
  title: "Fireworks AI",
  endpoint: "https://api.fireworks.ai/inference/v1",
  pricesFrom: "fireworks",
  credentialsRequired: true,
  options: {
    reasoning: "Effort",
    surfaces: "Rerank",
    maxTokensField: "max_tokens",
    developerRole: "System",
    unsupported: "store,service_tier",
  },
  model: { name: "gpt-oss", upstream: "accounts/fireworks/models/gpt-oss-120b" },
};
