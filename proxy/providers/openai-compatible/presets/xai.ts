/** https://docs.x.ai/docs/api-reference */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "XAI",
  title: "xAI",
  endpoint: "https://api.x.ai/v1",
  pricesFrom: "x-ai",
  credentialsRequired: true,
  options: {
    reasoning: "Effort",
    surfaces: "Images",
    completions: "Translate",
    developerRole: "System",
    // Models that reason refuse the penalties.
    unsupported: "logit_bias,frequency_penalty,presence_penalty,store,metadata,service_tier",
  },
  // https://docs.x.ai/developers/migration/may-15-retirement
  model: { name: "grok-4.5" },
};
