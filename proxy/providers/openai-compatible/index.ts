/** Any server that speaks OpenAI's format. The endpoint is the SDK's base URL, `/v1` included where the server has it. */

import { decodeOpenAiError } from "../openai/failure.ts";
import { bearer, openAiPaths } from "../openai/index.ts";
import { limitEdits, mended } from "../openai/mend.ts";
import { passthroughChat, passthroughEmbeddings } from "../openai/request.ts";
import type { Provider } from "../provider.ts";
import { capabilities } from "./capabilities.ts";

export const provider: Provider = {
  capabilities,
  passthroughPath: (format, account) => {
    const path = openAiPaths[format];
    return path === undefined ? null : account.basePath + path;
  },
  passthroughEdits: (format, account, model, body) => (format === "openai.chat" ? limitEdits(body, account, model) : {}),
  authorize: bearer,
  chat: (request, account, model, options) => passthroughChat(mended(request, account, model, false), account, model, options),
  embeddings: passthroughEmbeddings,
  decodeError: decodeOpenAiError,
  resourcePath: (path, account) => account.basePath + path,
};
