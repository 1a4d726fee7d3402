/**
 * Claude by Anthropic's own Messages API at Bedrock's endpoint, with its streams
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/inference-messages-api.html).
 */
import { type ChatRequest, isRefusal, type Refusal } from "../../dialects/canonical.ts";
import { bedrockBetas, withBetas } from "../anthropic/betas.ts";
import { decodeReply } from "../anthropic/reply.ts";
import { encodeRequest } from "../anthropic/request.ts";
import { anthropicDecoder } from "../anthropic/stream.ts";
import type { CallOptions, ChatCall, ProviderAccount, ProviderModel } from "../provider.ts";

export const isMessages = ({ config }: ProviderAccount): boolean => config.options["api"] === "Messages";

/** The endpoint is Bedrock's host, with or without the API's path. */
export const messagesPath = ({ basePath }: ProviderAccount): string =>
  `${basePath.replace(/\/anthropic(\/v1)?$/, "")}/anthropic/v1/messages`;

const version = { "anthropic-version": "2023-06-01" };

export const messagesHeaders = (
  headers: Readonly<Record<string, string>>,
  { config }: ProviderModel,
): Record<string, string> => ({ ...version, ...withBetas(headers, bedrockBetas, config.upstream) });

export function messagesChat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const encoded = encodeRequest(request, account, model, options);
  if (isRefusal(encoded)) return encoded;
  return {
    path: messagesPath(account),
    headers: messagesHeaders({ "anthropic-beta": options.forwarded?.["anthropic-beta"] ?? "" }, model),
    body: JSON.stringify(encoded.body),
    dropped: encoded.dropped,
    decodeReply,
    decoder: anthropicDecoder,
  };
}
