/** A client API's format. One folder per dialect; the pipeline knows only this interface. */

import type { WireFormat } from "../config/capabilities.ts";
import type { Failure } from "../failure.ts";
import type { JsonObject } from "../wire/json.ts";
import type { ChatReply, ChatRequest, Refusal, StreamEvent, Usage } from "./canonical.ts";
import type { StreamProgress } from "./verdict/answer.ts";

/** What the encoders need to know about the call. */
export interface ReplyContext {
  /** The model name that the client requested, shown in the answer. */
  model: string;
  /** Used if the provider sends no id. */
  fallbackId: string;
  /** Seconds since the Unix epoch. */
  createdSeconds: number;
  /** Whether the client asked for usage in its stream (always true if the dialect always has it). */
  includeUsage: boolean;
  /** The canonical request that was sent. */
  request: ChatRequest;
  /** The client's own body, whose forms of tools the answer has to use. */
  body?: JsonObject;
  /** Takes the items of an answer that the client may refer to later; absent if it won't. */
  keepItems?: ((items: readonly JsonObject[]) => void) | undefined;
}

/** Converts stream events to the client's bytes. */
export interface ChatStreamEncoder {
  /** Text to write for this event, "" for nothing. Never called with `error`: see `Dialect.streamError`. */
  encode(event: StreamEvent): string;
}

/**
 * Observes a stream in the dialect's own format that passes through. Finds the terminal marker, usage and error frames,
 * decodes only what it must, and removes what the gateway asked for and the client did not.
 */
export interface StreamObserver {
  /** Bytes to pass on. There may be fewer than came in (an incomplete frame is held), or they may have changed. */
  push(bytes: Uint8Array): Uint8Array;
  /** The bytes still held when the upstream ended. */
  flush(): Uint8Array;
  /** Whether the terminal marker has been seen. */
  readonly ended: boolean;
  /** The message of an error frame, if one arrived. The frame itself has not been passed on. */
  readonly error: { message: string; code: string | null; oversized?: boolean } | null;
  /** Whether the answer failed in the format's own way, which has been passed on. */
  readonly failure?: { message: string; code: string | null } | null;
  /** The body of either kind of error, as the provider sent it; null if the stream itself could not be read. */
  readonly errorBody: unknown;
  /** Progress of the answer so far. */
  readonly progress: StreamProgress;
  readonly usage: Usage | null;
  /** Usage of the whole answer. */
  readonly usageIsFinal: boolean;
  /** Whether all of the answer's content has been seen. Its usage may still follow. */
  readonly contentEnded: boolean;
  /** Characters of content seen, to estimate usage if the provider sends none. */
  readonly contentLength: number;
}

/** How a client reads failures. */
export type SurfaceName = "openai" | "responses" | "anthropic" | "file";

export interface Dialect {
  readonly format: WireFormat;
  /** The SDK whose error format the clients read. */
  readonly surface: SurfaceName;
  /** Client body → canonical request. The body is known to be an object. */
  decode(body: JsonObject): ChatRequest | Refusal;
  /**
   * Top-level parameters of this body that the canonical format can't hold and `decode` drops. Absent if it keeps all.
   */
  dropped?(body: JsonObject): string[];
  encodeReply(reply: ChatReply, context: ReplyContext): JsonObject;
  encoder(context: ReplyContext): ChatStreamEncoder;
  /**
   * For passthrough. `hideUsage`: the gateway asked for usage, and the client did not. `maxEventBytes`: limit for one
   * event.
   */
  observer(options: { hideUsage: boolean; maxEventBytes?: number }): StreamObserver;
  /** Usage from a whole passthrough answer in this format. */
  usageOf(body: JsonObject): Usage | null;
}

/** How failures look on a surface. */
export interface Surface {
  /** JSON body of a failure before the first byte. */
  errorBody(failure: Failure, requestId: string): JsonObject;
  /**
   * Text of an error event after the first byte. The stream is then closed without its end marker. "": the answer can
   * hold no event, so the connection is cut.
   */
  streamError(failure: Failure, requestId: string): string;
}
