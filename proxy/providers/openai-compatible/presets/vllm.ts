/** https://docs.vllm.ai/en/latest/serving/openai_compatible_server */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "VLLM",
  title: "vLLM",
  endpoint: null,
  example: "http://vllm.models.svc:8000/v1",
  pricesFrom: null,
  credentialsRequired: false,
  options: {
    reasoning: "Effort",
    surfaces: "Transcriptions,Translations,Rerank",
    maxTokensField: "max_tokens",
    unsupported: "store,metadata,service_tier",
  },
  model: { name: "llama", upstream: "meta-llama/Llama-3.3-70B-Instruct" },
};
