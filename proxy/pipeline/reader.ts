/** How an upstream's answer becomes the client's: passed through and watched, or translated. */
import type { Buffer } from "node:buffer";
import type { ChatDelta, ProviderError, StreamEvent, Usage } from "../dialects/canonical.ts";
import type { ChatStreamEncoder, StreamObserver } from "../dialects/dialect.ts";
import { failureInStream } from "../providers/errors.ts";
import type { ChatStreamDecoder } from "../providers/provider.ts";

export interface StreamStep {
  /** For the client; may be empty. */
  out: Uint8Array | string;
  /** The format's own end has been reached. */
  ended: boolean;
  error: ProviderError | null;
  /** `out` tells the client of the error in the format's own way. */
  told?: boolean;
}

export interface StreamReader {
  push(bytes: Buffer): StreamStep;
  /** The upstream closed. Neither `ended` nor `error` set is a truncated stream. */
  close(): StreamStep;
  usage(): Usage | null;
  /** Characters of content seen so far, for an estimate. */
  contentLength(): number;
}

export function passthroughReader(observer: StreamObserver): StreamReader {
  const step = (out: Uint8Array): StreamStep => {
    const { error, failure } = observer;
    const failed = failure == null ? null : failureInStream(failure.message, failure.code);
    return {
      out,
      ended: observer.ended,
      error: error === null ? failed : failureInStream(error.message, error.code, error.oversized),
      told: error === null && failed !== null,
    };
  };
  return {
    push: (bytes) => step(observer.push(bytes)),
    close: () => step(observer.flush()),
    usage: () => observer.usage,
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
  /** Events that alone don't make an answer: held until one does, so that falling back stays possible. */
  let held: StreamEvent[] | null = [];
  const write = (event: StreamEvent): string => {
    if (event.kind === "usage") usage = event.usage;
    if (event.kind === "delta") contentLength += lengthOf(event.delta);
    if (held === null) return encoder.encode(event);
    held.push(event);
    if (event.kind === "start" || event.kind === "ping") return "";
    const out = held.map((one) => encoder.encode(one)).join("");
    held = null;
    return out;
  };
  const run = (events: readonly StreamEvent[]): StreamStep => {
    let out = "";
    for (const event of events) {
      if (event.kind === "error") return { out, ended: false, error: event.error };
      out += write(event);
      if (event.kind === "end") return { out, ended: true, error: null };
    }
    return { out, ended: false, error: null };
  };
  return {
    push: (bytes) => run(decoder.push(bytes)),
    close: () => run(decoder.end()),
    usage: () => usage,
    contentLength: () => contentLength,
  };
}
