/** https://docs.ollama.com/api/openai-compatibility */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Ollama",
  title: "Ollama",
  endpoint: null,
  example: "http://ollama.models.svc:11434/v1",
  pricesFrom: null,
  credentialsRequired: false,
  options: {
    responses: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    unsupported: "logit_bias,logprobs,top_logprobs,user,store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "llama3.2" },
};
