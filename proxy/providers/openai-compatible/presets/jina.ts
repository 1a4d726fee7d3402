/** https://api.jina.ai/redoc */
import type { Preset } from "../../../config/capabilities.ts";

export const preset: Preset = {
  name: "Jina",
  title: "Jina AI",
  endpoint: "https://api.jina.ai/v1",
  pricesFrom: null,
  credentialsRequired: true,
  options: {
    surfaces: "Rerank",
    responses: "Translate",
    completions: "Translate",
  },
  model: { name: "jina-reranker-v3" },
};
