/** https://docs.perplexity.ai/api-reference/chat-completions-post */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Perplexity",
  title: "Perplexity",
  endpoint: "https://api.perplexity.ai",
  pricesFrom: "perplexity",
  credentialsRequired: true,
  options: {
    responses: "Translate",
    completions: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    earlierReasoning: "Drop",
    unsupported: "logprobs,top_logprobs,logit_bias,seed,user,store,metadata,service_tier",
  },
  model: { name: "sonar" },
};
