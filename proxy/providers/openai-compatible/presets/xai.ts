/** https://docs.x.ai/docs/api-reference */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "XAI",
  title: "xAI",
  endpoint: "https://api.x.ai/v1",
  pricesFrom: "x-ai",
  credentialsRequired: true,
  options: {
    completions: "Translate",
    developerRole: "System",
    unsupported: "logit_bias,store,metadata,service_tier",
  },
  model: { name: "grok-4" },
};
