/** Turns an upstream's answer into the client's: passes it through and observes it, or translates it. */
import { Buffer } from "node:buffer";
import type { ChatDelta, ProviderError, StreamEvent, Usage } from "../dialects/canonical.ts";
import type { ChatStreamEncoder, StreamObserver } from "../dialects/dialect.ts";
import { invalidReply } from "../dialects/invalid-reply.ts";
import { progressOfEvent, type StreamProgress } from "../dialects/verdict/answer.ts";
import { isWithheldStream } from "../dialects/verdict/withheld.ts";
import { errorInAnswer } from "../providers/errors.ts";
import type { ChatStreamDecoder, ErrorReply } from "../providers/provider.ts";

export interface StreamStep {
  /** Bytes for the client; empty until the answer has begun. */
  out: Uint8Array | string;
  /** Whether the format's own end marker was reached. */
  ended: boolean;
  error: ProviderError | null;
  /** An error; `out` reports it to the client in the stream's own format. */
  reported?: boolean;
  /** Whether the stream ended without content because the provider's filter withheld it. */
  withheld?: boolean;
  /** Like `out`, for a stream that has not begun: sent to the client only if no other target is asked. */
  own?: Uint8Array;
}

export interface StreamReader {
  push(bytes: Buffer): StreamStep;
  /** The upstream closed the stream. If neither `ended` nor `error` is set, the stream was truncated. */
  close(): StreamStep;
  /** Returns what was held because the answer had not begun, to be sent now: no other target will be asked. */
  release?(): Uint8Array | string;
  usage(): Usage | null;
  /** Whether the usage read so far covers the whole answer. */
  usageIsFinal(): boolean;
  /** Whether all of the answer's content was read, but not its usage. */
  awaitsUsage(): boolean;
  /** Characters of content read so far, for an estimate. */
  contentLength(): number;
}

/** Most bytes held before the answer has begun: Responses streams repeat the whole request, with its tools, twice. */
const maxHeldBytes = 1_048_576;
const maxHeldEvents = 4_096;
const nothing = Buffer.alloc(0);

/** The error for a stream that ended without an answer. */
const noAnswer: ProviderError = invalidReply("The provider's stream ended without an answer.");
const unreadable: ProviderError = invalidReply("The provider's stream could not be read.");

/** Bytes read and not yet sent, because another provider may still have to answer. */
class HeldBytes {
  #pieces: Uint8Array[] | null = [];
  #bytes = 0;

  get holding(): boolean {
    return this.#pieces !== null;
  }

  /** Returns what to send now. */
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

/** An event above the gateway's own cap says nothing about the provider, as the request may have caused it. */
const ofCaller = (error: StreamObserver["error"]): Pick<ProviderError, "fault"> =>
  error?.oversized === true ? { fault: "caller" } : {};

const doneFrame = Buffer.from("data: [DONE]\n\n");

/**
 * `decodeError`: the provider's decoder for errors in the stream. `oneChoice`: in a chat with one choice, the finish
 * reason ends the stream. Some servers send no end marker after it; the client gets one.
 */
export function passthroughReader(
  observer: StreamObserver,
  decodeError: (reply: ErrorReply) => ProviderError,
  oneChoice = false,
): StreamReader {
  const held = new HeldBytes();
  const failed = (out: Uint8Array, reported: boolean): StreamStep => {
    const { error, errorBody, ended, progress } = observer;
    const reason =
      errorBody === null
        ? { ...unreadable, message: error?.message ?? unreadable.message, ...ofCaller(error) }
        : errorInAnswer(errorBody, decodeError);
    if (!held.holding || progress === "begun") return { out: held.take(out, true), ended, error: reason, reported };
    return { out: nothing, ended, error: reason, ...(reported ? { own: held.take(out, true) } : {}) };
  };
  const step = (out: Uint8Array): StreamStep => {
    const { error, failure, ended, progress } = observer;
    if (error !== null) return failed(out, false);
    if (failure != null) return failed(out, true);
    if (ended && held.holding && progress === "waiting") return { out: nothing, ended, error: noAnswer };
    const unsaid = ended && held.holding && progress === "finished";
    const all = held.take(out, ended || progress === "begun");
    return unsaid && isWithheldStream(Buffer.from(all).toString("latin1"))
      ? { out: all, ended, error: null, withheld: true }
      : { out: all, ended, error: null };
  };
  const close = (): StreamStep => {
    const last = step(observer.flush());
    if (last.error !== null || last.ended || !oneChoice || !observer.contentEnded) return last;
    const unsaid = held.holding && observer.progress === "finished";
    const out = held.take(Buffer.concat([Buffer.from(last.out), doneFrame]), true);
    return unsaid && isWithheldStream(Buffer.from(out).toString("latin1"))
      ? { out, ended: true, error: null, withheld: true }
      : { out, ended: true, error: null };
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

/** Characters of the content, including tool arguments. */
function lengthOf({ content, reasoning_content, refusal, tool_calls }: ChatDelta): number {
  let length = (content?.length ?? 0) + (reasoning_content?.length ?? 0) + (refusal?.length ?? 0);
  for (const call of tool_calls ?? []) length += call.function?.arguments?.length ?? 0;
  return length;
}

const isFiltered = (event: StreamEvent): boolean => event.kind === "finish" && event.reason === "content_filter";

export function translatingReader(decoder: ChatStreamDecoder, encoder: ChatStreamEncoder): StreamReader {
  let usage: Usage | null = null;
  let contentLength = 0;
  let progress: StreamProgress = "waiting";
  let contentEnded = false;
  let usageIsFinal = false;
  /** Events that don't begin an answer. They are held until one does, so that fallback stays possible. */
  let held: StreamEvent[] | null = [];
  const release = (): string => {
    const out = (held ?? []).map((event) => encoder.encode(event)).join("");
    held = null;
    return out;
  };
  const write = (event: StreamEvent): string => {
    if (event.kind === "usage") {
      usage = event.usage;
      // Some servers report usage throughout the stream.
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
      const unsaid = held?.some(isFiltered) ?? false;
      out += write(event);
      if (event.kind === "end") return { out, ended: true, error: null, withheld: unsaid };
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
