/** https://api-docs.deepseek.com */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "DeepSeek",
  title: "DeepSeek",
  endpoint: "https://api.deepseek.com",
  pricesFrom: "deepseek",
  credentialsRequired: true,
  options: {
    responses: "Translate",
    completions: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    // Reasoning stays in the conversation: https://api-docs.deepseek.com/guides/thinking_mode
    unsupported: "logit_bias,seed,store,metadata,service_tier",
  },
  // An older name of deepseek-flash, since the price table lacks the newer one.
  model: { name: "deepseek-flash", upstream: "deepseek-v4-flash" },
};
