/** https://docs.together.ai/docs/inference/openai-compatibility */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Together",
  title: "Together AI",
  endpoint: "https://api.together.ai/v1",
  pricesFrom: "together",
  credentialsRequired: true,
  options: {
    surfaces: "Images,Speech,Transcriptions,Translations,Rerank",
    responses: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    earlierReasoning: "Drop",
    unsupported: "store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "meta-llama/Llama-3.3-70B-Instruct-Turbo" },
};
