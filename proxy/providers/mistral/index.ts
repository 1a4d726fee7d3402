/** Mistral: close to OpenAI's format, but strict about unknown fields. */

import type { WireFormat } from "../../config/capabilities.ts";
import { isRefusal } from "../../dialects/canonical.ts";
import { openAiModelList } from "../model-list.ts";
import { bearer } from "../openai/index.ts";
import { decodeChatReply } from "../openai/reply.ts";
import { passthroughEmbeddings } from "../openai/request.ts";
import { openAiChatDecoder } from "../openai/stream.ts";
import type { Provider } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { decodeMistralError } from "./failure.ts";
import { encodeChat } from "./request.ts";
import { plainChoices } from "./thinking.ts";

const passed: Partial<Record<WireFormat, string>> = {
  "openai.embeddings": "/embeddings",
  "openai.transcriptions": "/audio/transcriptions",
  "openai.moderations": "/moderations",
};

export const provider: Provider = {
  capabilities,
  modelList: openAiModelList,
  passthroughPath: (format, { basePath }) => {
    const path = passed[format];
    return path === undefined ? null : basePath + path;
  },
  authorize: bearer,
  chat(request, account, model, options) {
    const encoded = encodeChat(request, model, options);
    if (isRefusal(encoded)) return encoded;
    return {
      path: `${account.basePath}/chat/completions`,
      body: JSON.stringify(encoded.body),
      dropped: encoded.dropped,
      decodeReply: (body) => decodeChatReply(plainChoices(body, "message")),
      decoder: (maxEventBytes) => openAiChatDecoder(maxEventBytes, (body) => plainChoices(body, "delta")),
    };
  },
  embeddings: passthroughEmbeddings,
  decodeError: decodeMistralError,
};
