/** https://huggingface.co/docs/inference-providers */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "HuggingFace",
  title: "Hugging Face Inference Providers",
  endpoint: "https://router.huggingface.co/v1",
  pricesFrom: null,
  credentialsRequired: true,
  options: {
    responses: "Translate",
    completions: "Translate",
    maxTokensField: "max_tokens",
    developerRole: "System",
    // https://github.com/huggingface/huggingface.js/blob/main/packages/tasks/src/tasks/chat-completion/spec/input.json
    stop: "List",
    earlierReasoning: "Drop",
    unsupported: "store,metadata,service_tier,user",
  },
  model: { name: "llama", upstream: "meta-llama/Llama-3.3-70B-Instruct" },
};
