/** https://console.groq.com/docs/openai */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Groq",
  title: "Groq",
  endpoint: "https://api.groq.com/openai/v1",
  pricesFrom: "groq",
  credentialsRequired: true,
  options: {
    reasoning: "Effort",
    surfaces: "Speech,Transcriptions,Translations",
    completions: "Translate",
    maxTokensField: "max_completion_tokens",
    developerRole: "System",
    earlierReasoning: "Drop",
    messageNames: "Drop",
    unsupported: "logprobs,top_logprobs,logit_bias",
  },
  model: { name: "gpt-oss", upstream: "openai/gpt-oss-120b" },
};
