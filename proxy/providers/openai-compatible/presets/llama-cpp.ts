/** https://github.com/ggml-org/llama.cpp/tree/master/tools/server */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "LlamaCpp",
  title: "llama.cpp server",
  endpoint: null,
  example: "http://llama-cpp.models.svc:8080/v1",
  pricesFrom: null,
  credentialsRequired: false,
  options: {
    surfaces: "Rerank",
    responses: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    unsupported: "user,store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "llama-3.2-3b-instruct" },
};
