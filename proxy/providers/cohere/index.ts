/** Cohere's v2 API (https://docs.cohere.com/reference/about). */
import { namesIn } from "../model-list.ts";
import type { Provider } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { cohereEmbeddings } from "./embeddings.ts";
import { decodeCohereError } from "./failure.ts";
import { cohereChat } from "./request.ts";
import { rerankDrops, rerankEdits } from "./rerank.ts";

export const provider: Provider = {
  capabilities,
  modelList: {
    path: ({ basePath }) => `${basePath}/v1/models?page_size=1000`,
    names: (body) => namesIn(body, "models", "name"),
  },
  passthroughPath: (format, { basePath }) => (format === "cohere.rerank" ? `${basePath}/rerank` : null),
  passthroughEdits: (format, _account, _model, body) => (format === "cohere.rerank" ? rerankEdits(body) : {}),
  passthroughDrops: (format, body) => (format === "cohere.rerank" ? rerankDrops(body) : []),
  authorize(outgoing, account) {
    const key = account.credentials["apiKey"];
    if (key !== undefined) outgoing.headers["authorization"] = `Bearer ${key}`;
    return outgoing;
  },
  chat: cohereChat,
  embeddings: cohereEmbeddings,
  decodeError: decodeCohereError,
};
