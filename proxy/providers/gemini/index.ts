/**
 * Google's Gemini API in its own format (https://ai.google.dev/api). Vertex AI, which differs in paths and credentials,
 * is not covered.
 */

import { maxOutputBy } from "../model-facts.ts";
import { namesIn } from "../model-list.ts";
import type { Provider } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { geminiEmbeddings } from "./embeddings.ts";
import { decodeGeminiError } from "./failure.ts";
import { geminiFacts } from "./models.ts";
import { geminiChat, modelPath } from "./request.ts";
import { geminiSearches } from "./search.ts";
import { geminiTokenCount } from "./token-count.ts";

export const provider: Provider = {
  capabilities,
  modelList: {
    path: ({ basePath }) => `${basePath}/models?pageSize=1000`,
    names: (body) => namesIn(body, "models", "name")?.map((name) => name.replace(/^models\//, "")) ?? null,
  },
  passthroughPath: () => null,
  authorize(outgoing, account) {
    // In a header rather than in the query, which ends up in logs.
    const key = account.credentials["apiKey"];
    if (key !== undefined) outgoing.headers["x-goog-api-key"] = key;
    return outgoing;
  },
  maxOutput: maxOutputBy(geminiFacts),
  searches: (request, _account, model) => geminiSearches(request, model.config.upstream, {}),
  chat: (request, account, model, options) => geminiChat(request, account, model, options, { tiers: true }),
  embeddings: geminiEmbeddings,
  tokenCount({ request }, account, model) {
    const name = modelPath(model.config.upstream);
    return geminiTokenCount(request, account, model, (body) => ({
      generateContentRequest: { model: decodeURIComponent(name), ...body },
    }));
  },
  decodeError: decodeGeminiError,
};
