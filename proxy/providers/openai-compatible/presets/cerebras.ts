/** https://inference-docs.cerebras.ai/resources/openai */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Cerebras",
  title: "Cerebras",
  endpoint: "https://api.cerebras.ai/v1",
  pricesFrom: "cerebras",
  credentialsRequired: true,
  options: {
    reasoning: "Effort",
    responses: "Translate",
    maxTokensField: "max_completion_tokens",
    developerRole: "System",
    earlierReasoning: "Drop",
    unsupported: "frequency_penalty,presence_penalty,logit_bias,store,metadata",
  },
  // https://inference-docs.cerebras.ai/support/deprecation
  model: { name: "gpt-oss", upstream: "gpt-oss-120b" },
};
