/** https://docs.github.com/rest/models/inference */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "GitHubModels",
  title: "GitHub Models",
  endpoint: "https://models.github.ai/inference",
  pricesFrom: null,
  credentialsRequired: true,
  options: {
    responses: "Translate",
    completions: "Translate",
    unsupported: "store,metadata,service_tier,user",
  },
  model: { name: "gpt-4o-mini", upstream: "openai/gpt-4o-mini" },
};
