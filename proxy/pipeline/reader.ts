/** How an upstream's answer becomes the client's: passed through and watched, or translated. */
import { Buffer } from "node:buffer";
import type { ChatDelta, ProviderError, StreamEvent, Usage } from "../dialects/canonical.ts";
import type { ChatStreamEncoder, StreamObserver } from "../dialects/dialect.ts";
import { invalidReply } from "../dialects/invalid-reply.ts";
import { progressOfEvent, type StreamProgress } from "../dialects/verdict/answer.ts";
import { errorInAnswer } from "../providers/errors.ts";
import type { ChatStreamDecoder, ErrorReply } from "../providers/provider.ts";

export interface StreamStep {
  /** For the client; empty until the answer has begun. */
  out: Uint8Array | string;
  /** The format's own end has been reached. */
  ended: boolean;
  error: ProviderError | null;
  /** `out` tells the client of the error in the format's own way. */
  told?: boolean;
  /** The same of a stream that has not begun: for the client only if nobody else is asked. */
  own?: Uint8Array;
}

export interface StreamReader {
  push(bytes: Buffer): StreamStep;
  /** The upstream closed. Neither `ended` nor `error` set is a truncated stream. */
  close(): StreamStep;
  /** What was held back because the answer had not begun, to be handed on all the same: nobody else will be asked. */
  release?(): Uint8Array | string;
  usage(): Usage | null;
  /** The usage that was read is that of the whole answer. */
  usageIsFinal(): boolean;
  /** All of the answer's content has been read, and not its usage. */
  awaitsUsage(): boolean;
  /** Characters of content seen so far, for an estimate. */
  contentLength(): number;
}

/** So much is held back before the answer has begun: Responses repeat the whole request, tools included, twice. */
const maxHeldBytes = 1_048_576;
const maxHeldEvents = 4_096;
const nothing = Buffer.alloc(0);

/** A stream that came to its end without an answer. */
const noAnswer: ProviderError = invalidReply("The provider's stream ended without an answer.");
const unreadable: ProviderError = invalidReply("The provider's stream could not be read.");

/** What has been read and not yet handed on, because another provider may still have to answer. */
class HeldBytes {
  #pieces: Uint8Array[] | null = [];
  #bytes = 0;

  get holding(): boolean {
    return this.#pieces !== null;
  }

  /** What is to be handed on now. */
  take(out: Uint8Array, begun: boolean): Uint8Array {
    if (this.#pieces === null) return out;
    if (begun && this.#bytes === 0) {
      this.#pieces = null;
      return out;
    }
    if (out.length > 0) this.#pieces.push(out);
    this.#bytes += out.length;
    return begun || this.#bytes > maxHeldBytes ? this.release() : nothing;
  }

  release(): Uint8Array {
    const pieces = this.#pieces ?? [];
    this.#pieces = null;
    return Buffer.concat(pieces, this.#bytes);
  }
}

/** An event above the gateway's own cap, which a request may ask for, says nothing of the provider. */
const ofCaller = (error: StreamObserver["error"]): Pick<ProviderError, "fault"> =>
  error?.oversized === true ? { fault: "caller" } : {};

const doneFrame = Buffer.from("data: [DONE]\n\n");

/**
 * `decodeError`: the provider's, for errors in the stream. `oneChoice`: of a chat with one choice, its finish is the end,
 * which some servers leave without a marker; the client gets one.
 */
export function passthroughReader(
  observer: StreamObserver,
  decodeError: (reply: ErrorReply) => ProviderError,
  oneChoice = false,
): StreamReader {
  const held = new HeldBytes();
  const failed = (out: Uint8Array, told: boolean): StreamStep => {
    const { error, errorBody, ended, progress } = observer;
    const reason =
      errorBody === null
        ? { ...unreadable, message: error?.message ?? unreadable.message, ...ofCaller(error) }
        : errorInAnswer(errorBody, decodeError);
    if (!held.holding || progress === "begun") return { out: held.take(out, true), ended, error: reason, told };
    return { out: nothing, ended, error: reason, ...(told ? { own: held.take(out, true) } : {}) };
  };
  const step = (out: Uint8Array): StreamStep => {
    const { error, failure, ended, progress } = observer;
    if (error !== null) return failed(out, false);
    if (failure != null) return failed(out, true);
    if (ended && held.holding && progress === "waiting") return { out: nothing, ended, error: noAnswer };
    return { out: held.take(out, ended || progress === "begun"), ended, error: null };
  };
  const close = (): StreamStep => {
    const last = step(observer.flush());
    if (last.error !== null || last.ended || !oneChoice || !observer.contentEnded) return last;
    const out = held.take(Buffer.concat([Buffer.from(last.out), doneFrame]), true);
    return { out, ended: true, error: null };
  };
  return {
    push: (bytes) => step(observer.push(bytes)),
    close,
    release: () => held.release(),
    usage: () => observer.usage,
    usageIsFinal: () => observer.usage !== null && (observer.ended || observer.usageIsFinal),
    awaitsUsage: () => observer.contentEnded && !observer.usageIsFinal && !observer.ended,
    contentLength: () => observer.contentLength,
  };
}

/** Characters of what was said, be it to a tool. */
function lengthOf({ content, reasoning_content, refusal, tool_calls }: ChatDelta): number {
  let length = (content?.length ?? 0) + (reasoning_content?.length ?? 0) + (refusal?.length ?? 0);
  for (const call of tool_calls ?? []) length += call.function?.arguments?.length ?? 0;
  return length;
}

export function translatingReader(decoder: ChatStreamDecoder, encoder: ChatStreamEncoder): StreamReader {
  let usage: Usage | null = null;
  let contentLength = 0;
  let progress: StreamProgress = "waiting";
  let contentEnded = false;
  let usageIsFinal = false;
  /** Events that alone don't make an answer: held until one does, so that falling back stays possible. */
  let held: StreamEvent[] | null = [];
  const release = (): string => {
    const out = (held ?? []).map((event) => encoder.encode(event)).join("");
    held = null;
    return out;
  };
  const write = (event: StreamEvent): string => {
    if (event.kind === "usage") {
      usage = event.usage;
      // Some servers tell of usage all along.
      usageIsFinal = contentEnded;
    }
    if (event.kind === "finish") contentEnded = true;
    if (event.kind === "delta") contentLength += lengthOf(event.delta);
    if (held === null) return encoder.encode(event);
    const added = progressOfEvent(event);
    if (added !== "waiting" && progress !== "begun") progress = added;
    held.push(event);
    return progress === "begun" || event.kind === "end" || held.length > maxHeldEvents ? release() : "";
  };
  const run = (events: readonly StreamEvent[]): StreamStep => {
    let out = "";
    for (const event of events) {
      if (event.kind === "error") return { out, ended: false, error: event.error };
      if (event.kind === "end" && held !== null && progress === "waiting")
        return { out: "", ended: true, error: noAnswer };
      out += write(event);
      if (event.kind === "end") return { out, ended: true, error: null };
    }
    return { out, ended: false, error: null };
  };
  return {
    push: (bytes) => run(decoder.push(bytes)),
    close: () => run(decoder.end()),
    release,
    usage: () => usage,
    usageIsFinal: () => usageIsFinal,
    awaitsUsage: () => contentEnded && !usageIsFinal,
    contentLength: () => contentLength,
  };
}
