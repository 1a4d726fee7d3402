/** https://api-docs.deepseek.com */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "DeepSeek",
  title: "DeepSeek",
  endpoint: "https://api.deepseek.com/v1",
  pricesFrom: "deepseek",
  credentialsRequired: true,
  options: {
    responses: "Translate",
    completions: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    unsupported: "logit_bias,seed,store,metadata,service_tier",
  },
  model: { name: "deepseek-chat" },
};
