/** https://docs.api.nvidia.com/nim/reference/llm-apis */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "NvidiaNIM",
  title: "NVIDIA NIM",
  endpoint: "https://integrate.api.nvidia.com/v1",
  pricesFrom: null,
  credentialsRequired: true,
  options: {
    responses: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    earlierReasoning: "Drop",
    unsupported: "logit_bias,user,store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "meta/llama-3.3-70b-instruct" },
};
