/** https://openrouter.ai/docs/api-reference/overview */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "OpenRouter",
  title: "OpenRouter",
  endpoint: "https://openrouter.ai/api/v1",
  pricesFrom: "openrouter",
  credentialsRequired: true,
  options: {
    maxTokensField: "max_tokens",
  },
  model: { name: "claude", upstream: "anthropic/claude-sonnet-4.5" },
};
