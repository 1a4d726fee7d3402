/**
 * Claude by InvokeModel: Anthropic's Messages as they are, in Amazon's framing
 * (https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html).
 */
import { Buffer } from "node:buffer";
import { type ChatRequest, isRefusal, type Refusal, type StreamEvent } from "../../dialects/canonical.ts";
import { isObject, jsonIn } from "../../wire/json.ts";
import { betasFor, converseBetas } from "../anthropic/betas.ts";
import { decodeReply } from "../anthropic/reply.ts";
import { encodeRequest } from "../anthropic/request.ts";
import { anthropicDecoder } from "../anthropic/stream.ts";
import { oversizedEvent, streamFailure } from "../errors.ts";
import type { CallOptions, ChatCall, ChatStreamDecoder, ProviderAccount, ProviderModel } from "../provider.ts";
import { streamError } from "./failure.ts";
import { type Frame, FrameError, FrameReader, FrameTooLargeError } from "./frames.ts";

const anthropicVersion = "bedrock-2023-05-31";

const unreadable = (): StreamEvent =>
  streamFailure("upstream_invalid_response", "The provider's stream could not be read.");

/** Each frame holds one of Anthropic's events, base64-encoded. */
class InvokeDecoder implements ChatStreamDecoder {
  readonly #frames = new FrameReader();
  readonly #events: ChatStreamDecoder;
  #isOver = false;

  constructor(maxEventBytes?: number) {
    this.#events = anthropicDecoder(maxEventBytes);
  }

  push(bytes: Uint8Array): StreamEvent[] {
    const out: StreamEvent[] = [];
    if (this.#isOver) return out;
    try {
      this.#frames.push(bytes, (frame) => {
        out.push(...this.#read(frame));
        this.#isOver = ["end", "error"].includes(out.at(-1)?.kind ?? "");
        return !this.#isOver;
      });
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause;
      this.#isOver = true;
      out.push(
        cause instanceof FrameTooLargeError
          ? oversizedEvent("The provider sent an event that is larger than the gateway accepts.")
          : unreadable(),
      );
    }
    return out;
  }

  #read(frame: Frame): StreamEvent[] {
    const body = jsonIn(frame.payload);
    const kind = frame.header(":message-type");
    if (kind === "error") return [streamError(frame.header(":error-code"), frame.header(":error-message"))];
    if (kind !== "event") return [streamError(frame.header(":exception-type"), body ?? frame.payload)];
    if (frame.header(":event-type") !== "chunk") return [];
    const encoded = isObject(body) ? body["bytes"] : undefined;
    if (typeof encoded !== "string") return [unreadable()];
    const event = Buffer.from(encoded, "base64")
      .toString("utf8")
      .replaceAll(/[\r\n]/g, " ");
    return this.#events.push(Buffer.from(`data: ${event}\n\n`));
  }

  end(): StreamEvent[] {
    if (this.#isOver) return [];
    this.#isOver = true;
    return this.#events.end();
  }
}

/** `path`: of the model, without the operation. */
export function invokeChat(
  request: ChatRequest,
  path: string,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): ChatCall | Refusal {
  const encoded = encodeRequest(request, account, model, options);
  if (isRefusal(encoded)) return encoded;
  const betas = betasFor(options.forwarded?.["anthropic-beta"], converseBetas, model.config.upstream);
  const { model: _model, stream: _stream, ...body } = encoded.body;
  return {
    path: `${path}/${options.stream ? "invoke-with-response-stream" : "invoke"}`,
    headers: { accept: options.stream ? "application/vnd.amazon.eventstream" : "application/json" },
    body: JSON.stringify({
      anthropic_version: anthropicVersion,
      ...body,
      ...(betas.length > 0 ? { anthropic_beta: betas } : {}),
    }),
    dropped: encoded.dropped,
    decodeReply,
    decoder: (maxEventBytes) => new InvokeDecoder(maxEventBytes),
  };
}
