/**
 * Canonical request → OpenAI's format: unchanged. Used when a client of another dialect reaches an OpenAI-like server.
 */
import type { ChatRequest, EmbeddingsRequest } from "../../dialects/canonical.ts";
import type { CallOptions, ChatCall, EmbeddingsCall, ProviderAccount, ProviderModel } from "../provider.ts";
import type { MendedRequest } from "./mend.ts";
import { decodeChatReply, decodeEmbeddingsReply } from "./reply.ts";
import { openAiChatDecoder } from "./stream.ts";

export function chatBody(request: ChatRequest, model: ProviderModel, options: CallOptions): ChatRequest {
  const body: ChatRequest = { ...request, model: model.config.upstream };
  if (options.stream) {
    body.stream = true;
    body.stream_options = { ...request.stream_options, include_usage: true };
  } else {
    delete body.stream;
    delete body.stream_options;
  }
  return body;
}

export function passthroughChat(
  { request, dropped }: MendedRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall {
  return {
    path: `${account.basePath}/chat/completions`,
    body: JSON.stringify(chatBody(request, model, options)),
    dropped,
    decodeReply: decodeChatReply,
    decoder: openAiChatDecoder,
  };
}

export function passthroughEmbeddings(
  request: EmbeddingsRequest,
  account: ProviderAccount,
  model: ProviderModel,
): EmbeddingsCall {
  return {
    path: `${account.basePath}/embeddings`,
    body: JSON.stringify({ ...request, model: model.config.upstream, encoding_format: "float" }),
    dropped: [],
    decodeReply: decodeEmbeddingsReply,
  };
}
