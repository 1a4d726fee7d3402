/**
 * Server-sent events that pass through, split at byte level: the frame of every observer. A frame ends with a blank
 * line (LF or CRLF; https://html.spec.whatwg.org/multipage/server-sent-events.html). It is handed on as soon as it is
 * whole, and a read that consists of whole frames from which nothing is taken is handed on as the very same buffer.
 */
import { Buffer } from "node:buffer";
import { parseJson } from "../wire/json.ts";
import { closingQuoteIn } from "../wire/json-edit.ts";
import { maxEventBytes } from "../wire/sse.ts";
import type { Usage } from "./canonical.ts";
import type { StreamObserver } from "./dialect.ts";
import type { StreamProgress } from "./verdict/answer.ts";

const LF = 10;
const CR = 13;
const nothing = Buffer.alloc(0);
/** What a frame counts for in which no text is found: about one token. */
export const otherFrameLength = 4;
/** What stands before words that are not the answer's text: tools' arguments, reasoning, refusals. */
const otherMarkers = [
  '"arguments":"',
  '"partial_json":"',
  '"thinking":"',
  '"reasoning_content":"',
  '"reasoning":"',
  '"refusal":"',
].map((text) => Buffer.from(text));

/** true: hand the frame on as it is. false: take it out. A buffer: hand that on in its place. */
export type FrameVerdict = boolean | Buffer;

/** Offset behind the blank line that ends the frame, -1 where it is not whole. */
function frameEnd(work: Buffer, from: number): number {
  for (let at = work.indexOf(LF, from); at >= 0; at = work.indexOf(LF, at + 1)) {
    if (work[at + 1] === LF) return at + 2;
    if (work[at + 1] === CR && work[at + 2] === LF) return at + 3;
  }
  return -1;
}

/** Whether the frame at `start` to `end` has one line besides the blank one. */
export function isOneLine(work: Buffer, start: number, end: number): boolean {
  return work.indexOf(LF, start) >= end - 3;
}

/** Where a byte sequence occurs next, so that a read with many frames is searched once and not once a frame. */
export class Needle {
  readonly #bytes: Buffer;
  #at = -1;
  #work: Buffer = nothing;

  constructor(text: string) {
    this.#bytes = Buffer.from(text);
  }

  begin(work: Buffer): void {
    this.#work = work;
    this.#at = 0;
    this.#at = work.indexOf(this.#bytes);
  }

  /** Offset behind the first occurrence between `start` and `end`, -1 where there is none. */
  within(start: number, end: number): number {
    if (this.#at >= 0 && this.#at < start) this.#at = this.#work.indexOf(this.#bytes, start);
    const behind = this.#at + this.#bytes.length;
    return this.#at >= 0 && behind <= end ? behind : -1;
  }
}

/** Bytes of a frame's text in its JSON form, for an estimate; `from`: behind the marker before it, -1 where the frame has none. */
export function textLength(work: Buffer, from: number, start: number, end: number): number {
  if (from >= 0) return quotedLength(work, from, end);
  const frame = work.subarray(start, end);
  for (const marker of otherMarkers) {
    const at = frame.indexOf(marker);
    if (at >= 0) return Math.max(otherFrameLength, quotedLength(frame, at + marker.length, frame.length));
  }
  return otherFrameLength;
}

/** To the closing quote; where there is none, to the frame's end, whatever of the next frame has come already. */
function quotedLength(work: Buffer, from: number, end: number): number {
  // The marker ends in the quote that opens it.
  const close = closingQuoteIn(work, from - 1);
  return (close < 0 ? end : Math.min(close, end)) - from;
}

export interface FrameText {
  event: string;
  /** The `data` lines joined by LF; null where there is none. */
  data: string | null;
  /** Lines of other fields, such as `event:` and `id:`; comments are not among them. */
  others: boolean;
  /** The frame without those. */
  stripped: string;
}

function readLine(line: string, read: FrameText): void {
  const colon = line.indexOf(":");
  const field = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1);
  if (field === "data") read.data = read.data === null ? value : `${read.data}\n${value}`;
  if (field === "event") read.event = value;
  if (field === "data" || field === "") read.stripped += `${line}\n`;
  else read.others = true;
}

/** A frame, read line by line. */
export function readFrame(frame: Buffer): FrameText {
  const read: FrameText = { event: "", data: null, others: false, stripped: "" };
  for (const line of frame.toString("utf8").split("\n")) {
    const bare = line.endsWith("\r") ? line.slice(0, -1) : line;
    if (bare !== "") readLine(bare, read);
  }
  if (read.stripped !== "") read.stripped += "\n";
  return read;
}

/** What of a read is handed on: runs of frames that are kept as they are, and replacements between them. */
class Kept {
  readonly #work: Buffer;
  readonly #pieces: Buffer[] = [];
  #from = 0;

  constructor(work: Buffer) {
    this.#work = work;
  }

  add(verdict: FrameVerdict, start: number, end: number): void {
    if (verdict === true) return;
    this.#close(start);
    if (verdict !== false) this.#pieces.push(verdict);
    this.#from = end;
  }

  #close(end: number): void {
    if (this.#from === 0 && end === this.#work.length) this.#pieces.push(this.#work);
    else if (this.#from < end) this.#pieces.push(this.#work.subarray(this.#from, end));
  }

  bytes(end: number): Buffer {
    this.#close(end);
    return this.#pieces.length > 1 ? Buffer.concat(this.#pieces) : (this.#pieces[0] ?? nothing);
  }
}

export abstract class FrameObserver implements StreamObserver {
  ended = false;
  error: { message: string; code: string | null; oversized?: boolean } | null = null;
  errorBody: unknown = null;
  progress: StreamProgress = "waiting";
  usage: Usage | null = null;
  contentLength = 0;
  contentEnded = false;
  usageIsFinal = false;
  readonly #maxEventBytes: number;
  #held: Buffer = nothing;
  #heldBytes = 0;

  constructor(maxBytes = maxEventBytes) {
    this.#maxEventBytes = maxBytes;
  }

  /** A new buffer is about to be read. */
  protected abstract begin(work: Buffer): void;
  /** One whole frame, blank line included. Sets `ended`, `error` and `usage`. */
  protected abstract frame(work: Buffer, start: number, end: number): FrameVerdict;

  /** `body`: what the provider sent of it. */
  protected fail(message: string, code: string | null = null, body: unknown = null): false {
    this.error = { message, code };
    this.errorBody = body;
    return false;
  }

  /** To be called with what each frame adds until the answer has begun. */
  protected see(progress: StreamProgress): void {
    if (progress !== "waiting") this.progress = progress;
  }

  /** JSON of a frame's data; undefined, with `error` set, where it is none. */
  protected json(data: string): unknown {
    try {
      return parseJson(data);
    } catch {
      this.fail("The provider's stream could not be read.", "upstream_invalid_response");
      return undefined;
    }
  }

  push(bytes: Uint8Array): Uint8Array {
    if (this.ended || this.error !== null || bytes.length === 0) return nothing;
    const chunk = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const before = this.#heldBytes;
    const work = before === 0 ? chunk : this.#append(chunk);
    return this.#run(work, Math.max(0, before - 2));
  }

  #run(work: Buffer, scanFrom: number): Uint8Array {
    const kept = new Kept(work);
    let start = 0;
    this.begin(work);
    for (let end = frameEnd(work, scanFrom); end >= 0; end = frameEnd(work, start)) {
      kept.add(end - start > this.#maxEventBytes ? this.#tooLarge() : this.frame(work, start, end), start, end);
      start = end;
      if (this.ended || this.error !== null) break;
    }
    const out = kept.bytes(start);
    this.#hold(work, start);
    return out;
  }

  /** The held bytes with the chunk behind them; room doubles, so that a frame that comes byte by byte costs no more than its size. */
  #append(chunk: Buffer): Buffer {
    const size = this.#heldBytes + chunk.length;
    if (size > this.#held.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(4096, size * 2));
      this.#held.copy(room, 0, 0, this.#heldBytes);
      this.#held = room;
    }
    chunk.copy(this.#held, this.#heldBytes);
    this.#heldBytes = size;
    return this.#held.subarray(0, size);
  }

  #hold(work: Buffer, start: number): void {
    if (this.ended || this.error !== null || start === work.length) {
      this.#held = nothing;
      this.#heldBytes = 0;
      return;
    }
    const alreadyHeld = start === 0 && this.#heldBytes > 0;
    if (!alreadyHeld) {
      // What was handed on may still be waiting in a socket, so its memory is not written to again.
      this.#held = nothing;
      this.#heldBytes = 0;
      this.#append(work.subarray(start));
    }
    if (this.#heldBytes > this.#maxEventBytes) this.#tooLarge();
  }

  #tooLarge(): false {
    const message = `The provider sent an event of more than ${this.#maxEventBytes} bytes.`;
    this.error = { message, code: "upstream_invalid_response", oversized: true };
    return false;
  }

  /** A last frame without its blank line is good if its data is whole; anything less is left out, so that an error event can follow. */
  flush(): Uint8Array {
    if (this.#heldBytes === 0 || this.ended || this.error !== null) return nothing;
    const text = this.#held.toString("utf8", 0, this.#heldBytes).trimEnd();
    this.#heldBytes = 0;
    const data = readFrame(Buffer.from(text)).data;
    if (data === null || !isWhole(data)) return nothing;
    return this.#run(Buffer.from(`${text}\n\n`), 0);
  }
}

function isWhole(data: string): boolean {
  if (data === "[DONE]") return true;
  try {
    JSON.parse(data);
    return true;
  } catch {
    return false;
  }
}
