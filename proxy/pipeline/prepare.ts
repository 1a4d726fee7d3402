/**
 * What to send to one target, and how to read its answer. Bytes stay unchanged if the formats agree, and are translated
 * otherwise.
 */
import type { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import { type ChatRequest, isRefusal, type ProviderError, type Refusal, refusal } from "../dialects/canonical.ts";
import type { ReplyContext } from "../dialects/dialect.ts";
import { invalidReply } from "../dialects/invalid-reply.ts";
import { embeddings } from "../dialects/openai-embeddings.ts";
import { summaryRequest } from "../dialects/openai-responses/compaction.ts";
import { dialects } from "../dialects/registry.ts";
import { errorEnvelope, isAnswer } from "../dialects/verdict/answer.ts";
import { type Failure, failure } from "../failure.ts";
import { mediaFormat } from "../media/registry.ts";
import { isBeyond } from "../providers/bounds.ts";
import { errorInAnswer } from "../providers/errors.ts";
import type { Provider, ProviderModel } from "../providers/provider.ts";
import { translatedChat } from "../providers/translated-chat.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { jsonIn } from "../wire/json.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import { withCleanErrors } from "./clean-errors.ts";
import { prepareMedia } from "./prepare-media.ts";
import { asksForUsage, passthrough, reportsUsageOnRequest } from "./prepare-passthrough.ts";
import type { PrepareContext, Prepared } from "./prepared.ts";
import { isProviderError, toFailure } from "./provider-error.ts";
import { translatingReader } from "./reader.ts";

/** Reads a whole answer that is translated. Errors in it are left to the provider's decoder. */
function readWhole<T>(
  bytes: Buffer,
  headers: ResponseHeaders,
  provider: Provider,
  nowMs: number,
  decode: (body: unknown, headers: ResponseHeaders) => T | ProviderError,
): T | ProviderError {
  const body = jsonIn(bytes.toString("utf8"));
  if (body === undefined) return invalidReply();
  const failed = errorEnvelope(body);
  return failed === null ? decode(body, headers) : errorInAnswer(failed, provider.decodeError, { headers, nowMs });
}

function translateEmbeddings(shaped: Shaped, target: ResolvedTarget, context: PrepareContext): Prepared | Failure {
  const request = shaped.embeddings();
  if (isRefusal(request)) return toFailure(request);
  const encode = target.entry.provider.embeddings;
  if (encode === null)
    return failure("unsupported_parameter", "The provider of this model doesn't support embeddings.", {
      param: "model",
    });
  const call = encode(request, target.entry.account, target.model);
  if (isRefusal(call)) return toFailure(call);
  return {
    outgoing: {
      method: "POST",
      path: call.path,
      headers: { "content-type": "application/json", ...call.headers },
      body: call.body,
    },
    dropped: call.dropped,
    translated: true,
    whole(bytes, headers) {
      const reply = readWhole(bytes, headers, target.entry.provider, context.nowMs, call.decodeReply);
      if (isProviderError(reply)) return reply;
      if (reply.vectors.length === 0) return invalidReply();
      return {
        body: JSON.stringify(embeddings.encodeReply(reply, { model: shaped.model ?? target.model.name, request })),
        usage: reply.usage,
      };
    },
    reader: () => null,
  };
}

function contextOf(shaped: Shaped, request: ChatRequest, model: ProviderModel, context: PrepareContext): ReplyContext {
  const requested = !reportsUsageOnRequest(shaped.format) || asksForUsage(shaped.received.json["stream_options"]);
  return {
    model: shaped.model ?? model.name,
    fallbackId: context.requestId,
    createdSeconds: Math.floor(context.nowMs / 1000),
    includeUsage: requested,
    request,
    body: shaped.received.json,
    keepItems: context.keepItems,
  };
}

const keptByProvider = refusal(
  "previous_response_id",
  "What a provider keeps can't be compacted here. Leave `previous_response_id` out, and send the whole conversation as `input`.",
);

function chatOf(shaped: Shaped): ChatRequest | Refusal {
  const { compaction, received } = shaped;
  if (compaction !== null && (received.json["previous_response_id"] ?? null) !== null) return keptByProvider;
  const request = shaped.chat();
  return compaction === null || isRefusal(request) ? request : summaryRequest(request);
}

function translateChat(shaped: Shaped, target: ResolvedTarget, context: PrepareContext): Prepared | Failure {
  const request = chatOf(shaped);
  if (isRefusal(request)) return toFailure(request);
  const dialect = dialects[shaped.format];
  const { provider, account } = target.entry;
  const call = translatedChat(
    provider,
    request,
    { account, model: target.model },
    {
      stream: shaped.received.stream,
      deadlineMs: context.deadlineMs,
      forwarded: context.forwarded,
      seed: context.requestId,
    },
  );
  if (call === null || dialect === undefined)
    return failure("unsupported_parameter", "The provider of this model doesn't support chat.", { param: "model" });
  if (isRefusal(call)) return toFailure(call);
  const reply = contextOf(shaped, request, target.model, context);
  return {
    outgoing: {
      method: "POST",
      path: call.path,
      headers: { "content-type": "application/json", ...call.headers },
      body: call.body,
    },
    dropped: [...(dialect.dropped?.(shaped.received.json) ?? []), ...call.dropped],
    translated: true,
    whole(bytes, headers) {
      const decoded = readWhole(bytes, headers, provider, context.nowMs, call.decodeReply);
      if (isProviderError(decoded)) return decoded;
      if (!isAnswer(decoded)) return invalidReply();
      return { body: JSON.stringify(dialect.encodeReply(decoded, reply)), usage: decoded.usage };
    },
    reader: () => translatingReader(call.decoder(context.maxEventBytes), dialect.encoder(reply)),
  };
}

/** Whether the provider is sure to refuse the chat as it is. */
function isSureToFail({ received: { json } }: Shaped, { entry, model }: ResolvedTarget): boolean {
  const { bounds } = entry.provider.capabilities;
  if (entry.provider.translatesChat?.(json, entry.account, model) === true) return true;
  return bounds?.refuses === true && isBeyond(json, bounds);
}

/** Such a chat in a form that the provider accepts; null if it can pass through, or has no other form. */
function rewritten(shaped: Shaped, target: ResolvedTarget, context: PrepareContext): Prepared | null {
  if (shaped.format !== "openai.chat" || !isSureToFail(shaped, target)) return null;
  const translated = translateChat(shaped, target, context);
  return "outgoing" in translated ? translated : null;
}

const translate = (shaped: Shaped, target: ResolvedTarget, context: PrepareContext): Prepared | Failure =>
  shaped.format === "openai.embeddings"
    ? translateEmbeddings(shaped, target, context)
    : translateChat(shaped, target, context);

/** Members that a provider's own call lacks, set because a budget has to limit what the answer costs. */
const caps = ["max_output_tokens", "max_tool_calls"] as const;

/** The path for bytes that pass through; null if they are translated. */
function pathOf({ format, compaction, edits, received }: Shaped, { entry, model }: ResolvedTarget): string | null {
  const { provider, account } = entry;
  if (compaction === null) return provider.passthroughPath(format, account, model, received.stream);
  const byGateway = compaction.byGateway || caps.some((name) => edits[name] !== undefined);
  return byGateway ? null : (provider.compactPath?.(account) ?? null);
}

export function prepare(shaped: Shaped, target: ResolvedTarget, context: PrepareContext): Prepared | Failure {
  const media = mediaFormat(shaped.format);
  if (media !== null) return checked(prepareMedia(shaped, target, media, context), target);
  const path = shaped.mustTranslate ? null : pathOf(shaped, target);
  const raw =
    path === null
      ? translate(shaped, target, context)
      : (rewritten(shaped, target, context) ?? passthrough(shaped, target, path, context));
  return checked(raw, target);
}

function checked(raw: Prepared | Failure, { entry: { account } }: ResolvedTarget): Prepared | Failure {
  if (!("outgoing" in raw)) return raw;
  const prepared = withCleanErrors(raw, account);
  if (account.config.unsupportedParameters !== "Refuse") return prepared;
  // A mark for a prompt cache changes the price, never the answer.
  const lost = prepared.dropped.filter((name) => name !== "cache_control");
  const [first] = lost;
  if (first === undefined) return prepared;
  const names = lost.join(", ");
  return failure("unsupported_parameter", `The provider of this model does not know: ${names}. Leave them out.`, {
    param: first,
  });
}
