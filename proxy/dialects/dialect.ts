/** What a client speaks. One folder a dialect; the pipeline knows only this interface. */

import type { WireFormat } from "../config/capabilities.ts";
import type { Failure } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";
import type { ChatReply, ChatRequest, Refusal, StreamEvent, Usage } from "./canonical.ts";
import type { StreamProgress } from "./verdict/answer.ts";

/** What the encoders need to know of the call. */
export interface ReplyContext {
  /** The model name that the client asked for, shown in the answer. */
  model: string;
  /** Used where the provider gives no id. */
  fallbackId: string;
  /** Epoch seconds. */
  createdSeconds: number;
  /** The client asked for usage in its stream (always true where the dialect always has it). */
  includeUsage: boolean;
  /** The canonical request that was sent. */
  request: ChatRequest;
}

/** Turns stream events into the client's bytes. */
export interface ChatStreamEncoder {
  /** Text to write for this event, "" for nothing. `error` is never passed here: see `Dialect.streamError`. */
  encode(event: StreamEvent): string;
}

/**
 * Looks at a stream in the dialect's own format that passes through. It finds the terminal marker, usage and error
 * frames without decoding what it needn't, and takes out what the gateway asked for and the client did not.
 */
export interface StreamObserver {
  /** Bytes to hand on; may be fewer than came (a frame is held until it is whole) or changed. */
  push(bytes: Uint8Array): Uint8Array;
  /** What was held when the upstream ended. */
  flush(): Uint8Array;
  /** The terminal marker has been seen. */
  readonly ended: boolean;
  /** The message of an error frame, if one came. It has not been handed on. */
  readonly error: { message: string; code: string | null; oversized?: boolean } | null;
  /** The answer ended badly in the format's own way, which has been handed on. */
  readonly failure?: { message: string; code: string | null } | null;
  /** The error's body, of either, as the provider sent it; null where the stream itself could not be read. */
  readonly errorBody: unknown;
  /** What has been seen of the answer so far. */
  readonly progress: StreamProgress;
  readonly usage: Usage | null;
  /** `usage` is that of the whole answer. */
  readonly usageIsFinal: boolean;
  /** All of the answer's content has been seen; its usage may still come. */
  readonly contentEnded: boolean;
  /** Characters of content seen, for an estimate where no usage comes. */
  readonly contentLength: number;
}

export interface Dialect {
  readonly format: WireFormat;
  /** Which SDK's error format its clients read. */
  readonly surface: "openai" | "anthropic";
  /** Client body → canonical; the body is an object already. */
  decode(body: JsonObject): ChatRequest | Refusal;
  /** Top-level parameters of this body that the canonical shape has no place for and `decode` leaves out. Absent: it keeps all. */
  dropped?(body: JsonObject): string[];
  encodeReply(reply: ChatReply, context: ReplyContext): JsonObject;
  encoder(context: ReplyContext): ChatStreamEncoder;
  /** For passthrough. `hideUsage`: the gateway asked for usage, the client did not. `maxEventBytes`: of one event. */
  observer(options: { hideUsage: boolean; maxEventBytes?: number }): StreamObserver;
  /** Usage from a whole passthrough answer in this format. */
  usageOf(body: JsonObject): Usage | null;
}

/** How failures look on a surface. */
export interface Surface {
  /** JSON body of a failure before the first byte. */
  errorBody(failure: Failure, requestId: string): JsonObject;
  /** Text of an error event after the first byte; the stream is closed after it, without its end marker. */
  streamError(failure: Failure, requestId: string): string;
}
