/**
 * Canonical request → OpenAI's format: unchanged. Used when a client of another dialect reaches an OpenAI-like server.
 */
import { type ChatRequest, type EmbeddingsRequest, type Refusal, refusal } from "../../dialects/canonical.ts";
import { searchOptions, webSearch } from "../../dialects/web-search.ts";
import type { CallOptions, ChatCall, EmbeddingsCall, ProviderAccount, ProviderModel } from "../provider.ts";
import type { MendedRequest } from "./mend.ts";
import { decodeChatReply, decodeEmbeddingsReply } from "./reply.ts";
import { openAiChatDecoder } from "./stream.ts";

export function chatBody(request: ChatRequest, model: ProviderModel, options: CallOptions): ChatRequest {
  const { [webSearch]: wish } = request;
  const body: ChatRequest = { ...request, model: model.config.upstream };
  if (wish !== undefined) body["web_search_options"] = searchOptions(wish);
  if (options.stream) {
    body.stream = true;
    body.stream_options = { ...request.stream_options, include_usage: true };
  } else {
    delete body.stream;
    delete body.stream_options;
  }
  return body;
}

/** Chat completions take files in the request, or by the id of one that OpenAI keeps. */
function fileByAddress({ messages }: ChatRequest): Refusal | null {
  for (const [index, { content }] of messages.entries()) {
    const offset = Array.isArray(content)
      ? content.findIndex((part) => part.type === "file" && /^https?:/i.test(part.file.file_data ?? ""))
      : -1;
    if (offset >= 0)
      return refusal(
        `messages[${index}].content[${offset}].file`,
        "The provider of this model doesn't fetch files. Send the file itself as a data URI in `file_data`.",
      );
  }
  return null;
}

export function passthroughChat(
  { request, dropped }: MendedRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  return (
    fileByAddress(request) ?? {
      path: `${account.basePath}/chat/completions`,
      body: JSON.stringify(chatBody(request, model, options)),
      dropped,
      decodeReply: decodeChatReply,
      decoder: openAiChatDecoder,
    }
  );
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
