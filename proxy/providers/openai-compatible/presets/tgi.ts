/** https://huggingface.co/docs/text-generation-inference/messages_api */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "TGI",
  title: "Text Generation Inference",
  endpoint: null,
  example: "http://tgi.models.svc:8080/v1",
  pricesFrom: null,
  credentialsRequired: false,
  options: {
    responses: "Translate",
    completions: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    stop: "List",
    earlierReasoning: "Drop",
    unsupported: "user,store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "meta-llama/Llama-3.3-70B-Instruct" },
};
