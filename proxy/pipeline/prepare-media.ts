/** Calls to images, audio, moderations and reranking: what to send to a target, and how to read its answer. */
import type { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import type { MediaWireFormat } from "../config/capabilities.ts";
import { isRefusal, type ProviderError } from "../dialects/canonical.ts";
import { invalidReply } from "../dialects/invalid-reply.ts";
import { judgeReply } from "../dialects/verdict/answer.ts";
import { errorInText, FileStart, isDocumentType, isMarkup } from "../dialects/verdict/file.ts";
import { type Failure, failure } from "../failure.ts";
import { editedForm, encodeForm } from "../media/form.ts";
import type { AnswerKind, MediaFormat, MediaRequest } from "../media/format.ts";
import { MediaObserver } from "../media/observer.ts";
import { errorInAnswer } from "../providers/errors.ts";
import type { Outgoing, Provider } from "../providers/provider.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import { applyEdits } from "../wire/json-edit.ts";
import type { ResponseHeaders } from "../wire/upstream.ts";
import { mediaRequestOf } from "./media-worst.ts";
import { translatedRerank } from "./prepare-rerank.ts";
import type { PrepareContext, Prepared } from "./prepared.ts";
import { toFailure } from "./provider-error.ts";
import { passthroughReader, type StreamReader, type StreamStep } from "./reader.ts";
import type { WholeReply } from "./whole-reply.ts";

export const lacking = ({ title }: MediaFormat): Failure =>
  failure(
    "unsupported_operation",
    `No provider of this model has ${title}. Use a model whose provider has it: GET /v1/models lists the models.`,
    { param: "model" },
  );

/** Bytes of a file, in whatever pieces they come. `judge` returns the error if a text came in place of the file, else null. */
function fileReader(judge: (text: string) => ProviderError | null): StreamReader {
  let length = 0;
  const start = new FileStart();
  return {
    push: (bytes) => {
      length += bytes.length;
      return { out: start.push(bytes), ended: false, error: null };
    },
    close: () => {
      const rest = start.end();
      const error = length === 0 ? invalidReply() : typeof rest === "string" ? judge(rest) : null;
      return { out: error === null ? rest : "", ended: true, error };
    },
    usage: () => null,
    usageIsFinal: () => false,
    awaitsUsage: () => false,
    contentLength: () => length,
  };
}

/** These streams have no end marker: they are complete once their last event was followed by the end. */
function eventReader(observer: MediaObserver, decodeError: Provider["decodeError"]): StreamReader {
  const reader = passthroughReader(observer, decodeError);
  return {
    ...reader,
    close: (): StreamStep => {
      const last = reader.close();
      return last.error === null && observer.contentEnded ? { ...last, ended: true } : last;
    },
  };
}

const typeIn = (headers: ResponseHeaders): string => String(headers["content-type"] ?? "").toLowerCase();

class PassedMedia implements Prepared {
  readonly outgoing: Outgoing;
  readonly dropped: string[];
  readonly translated = false;
  readonly #name: MediaWireFormat;
  readonly #format: MediaFormat;
  readonly #request: MediaRequest;
  readonly #kind: AnswerKind;
  readonly #decodeError: Provider["decodeError"];
  readonly #context: PrepareContext;

  constructor(
    outgoing: Outgoing,
    dropped: string[],
    { name, format, request }: { name: MediaWireFormat; format: MediaFormat; request: MediaRequest },
    provider: Provider,
    context: PrepareContext,
  ) {
    this.outgoing = outgoing;
    this.dropped = dropped;
    this.#name = name;
    this.#format = format;
    this.#request = request;
    this.#kind = format.answerKind(request.json);
    this.#decodeError = provider.decodeError;
    this.#context = context;
  }

  whole(bytes: Buffer, headers: ResponseHeaders): WholeReply | ProviderError {
    if (this.#kind === "text" && !typeIn(headers).includes("json")) return this.#text(bytes, headers);
    const body = jsonIn(bytes.toString("utf8"));
    const verdict = body === undefined ? null : judgeReply(this.#name, body);
    if (verdict?.kind === "error") return this.#error(verdict.body, headers);
    if (verdict?.kind !== "answer" || !isObject(body)) return invalidReply();
    return { body: bytes, usage: this.#format.usageOf(body, this.#request) };
  }

  /** Reads a transcript, unless the text is an error or a server's error page. */
  #text(bytes: Buffer, headers: ResponseHeaders): WholeReply | ProviderError {
    const text = bytes.toString("utf8");
    if (isDocumentType(typeIn(headers)) || isMarkup(text)) return invalidReply();
    const error = errorInText(text);
    if (error !== null) return this.#error(error, headers);
    if (this.#format.isFormed?.(text, this.#request.json) === false) return invalidReply();
    const usage = this.#format.usageOfText?.(text) ?? null;
    return { body: bytes, usage, contentType: "text/plain; charset=utf-8" };
  }

  #error(body: unknown, headers: ResponseHeaders): ProviderError {
    return errorInAnswer(body, this.#decodeError, { headers, nowMs: this.#context.nowMs });
  }

  reader(headers: ResponseHeaders): StreamReader | null {
    if (this.#kind === "bytes") {
      if (this.fileType(headers) === null) return null;
      return fileReader((text) => {
        const error = errorInText(text);
        if (error !== null) return this.#error(error, headers);
        return isMarkup(text) ? invalidReply() : null;
      });
    }
    if (this.#kind !== "events") return null;
    const observer = new MediaObserver(this.#format, this.#request, this.#context.maxEventBytes);
    return eventReader(observer, this.#decodeError);
  }

  /** Any content type may be a file's, except those that servers use for errors. */
  fileType(headers: ResponseHeaders): string | null {
    const type = typeIn(headers);
    if (this.#kind !== "bytes" || isDocumentType(type) || type.startsWith("text/")) return null;
    return type === "" ? "application/octet-stream" : type;
  }
}

function bodyOf({ received }: Shaped, edits: JsonObject): { body: Uint8Array; contentType: string } {
  const { parts } = received;
  return parts === undefined
    ? { body: applyEdits(received.bytes, received.outline, edits), contentType: "application/json" }
    : encodeForm(editedForm(parts, edits));
}

interface Asked {
  media: MediaFormat;
  name: MediaWireFormat;
  request: MediaRequest;
}

/** Only reranking is translated. */
function rankedOrLacking(
  { media, name, request }: Asked,
  { provider, account }: ResolvedTarget["entry"],
  model: ResolvedTarget["model"],
  { nowMs }: PrepareContext,
): Prepared | Failure {
  const translate = name === "cohere.rerank" ? (provider.rerank?.(account, model) ?? null) : null;
  if (translate === null) return lacking(media);
  const call = translate(request.json);
  if (isRefusal(call)) return toFailure(call);
  return translatedRerank(call, media, request, { decodeError: provider.decodeError, nowMs });
}

export function prepareMedia(
  shaped: Shaped,
  { entry, model }: ResolvedTarget,
  media: MediaFormat,
  context: PrepareContext,
): Prepared | Failure {
  const name = shaped.format as MediaWireFormat;
  const { provider, account } = entry;
  const path = provider.passthroughPath(name, account, model);
  const request = mediaRequestOf(shaped);
  if (path === null) return rankedOrLacking({ media, name, request }, entry, model, context);
  const own = provider.passthroughEdits?.(name, account, model, request.json) ?? {};
  if (isRefusal(own)) return failure(own.code, own.message, { param: own.param ?? "" });
  const dropped = provider.passthroughDrops?.(name, request.json, account, model) ?? [];
  const { upstream } = model.config;
  const named = shaped.received.json["model"] === upstream ? {} : { model: upstream };
  const { body, contentType } = bodyOf(shaped, { ...shaped.edits, ...named, ...own });
  const headers = { ...context.forwarded, "content-type": contentType };
  return new PassedMedia(
    { method: "POST", path, headers, body },
    dropped,
    { name, format: media, request },
    provider,
    context,
  );
}
