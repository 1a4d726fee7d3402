/** https://docs.sambanova.ai/docs/api-reference/chat-completions/create-chat-based-completion */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "SambaNova",
  title: "SambaNova",
  endpoint: "https://api.sambanova.ai/v1",
  pricesFrom: null,
  credentialsRequired: true,
  options: {
    responses: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    // The penalties are accepted but have no effect.
    unsupported: "logit_bias,frequency_penalty,presence_penalty,seed,user,store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "Meta-Llama-3.3-70B-Instruct" },
};
