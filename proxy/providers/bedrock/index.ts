/**
 * Amazon Bedrock's Converse (https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html): one
 * format for models of many vendors.
 */
import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import type { CallOptions, ChatCall, Provider, ProviderAccount, ProviderModel } from "../provider.ts";
import { capabilities } from "./capabilities.ts";
import { decodeError } from "./failure.ts";
import { decodeReply, text } from "./reply.ts";
import { encodeRequest } from "./request.ts";
import { authorize, renewSession } from "./sign.ts";
import { converseDecoder } from "./stream.ts";

/**
 * Encodes one path segment: model ids contain `:`, and ARNs also `/`. The signature's rules (RFC 3986) encode more
 * characters than JavaScript does.
 */
function segment(id: string): string {
  return encodeURIComponent(id).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function chat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const encoded = encodeRequest(request, account, model);
  if (isRefusal(encoded)) return encoded;
  const { upstream } = model.config;
  return {
    path: `${account.basePath}/model/${segment(upstream)}/${options.stream ? "converse-stream" : "converse"}`,
    headers: { accept: options.stream ? "application/vnd.amazon.eventstream" : "application/json" },
    body: JSON.stringify(encoded.body),
    dropped: encoded.dropped,
    decodeReply: (body, headers) => decodeReply(body, text(headers["x-amzn-requestid"]), upstream),
    decoder: converseDecoder,
  };
}

export const provider: Provider = {
  capabilities,
  passthroughPath: () => null,
  authorize,
  chat,
  embeddings: null,
  decodeError,
  renew: renewSession,
};
