/**
 * Server-sent events that pass through, split at byte level: the base of every observer. A frame ends with a blank line
 * (LF or CRLF; https://html.spec.whatwg.org/multipage/server-sent-events.html). Each frame is passed on as soon as it
 * is complete. A read that consists of complete, unchanged frames is passed on as the same buffer.
 */
import { Buffer } from "node:buffer";
import { closingQuote, parseJson } from "../wire/json.ts";
import { maxEventBytes } from "../wire/sse.ts";
import type { Usage } from "./canonical.ts";
import type { StreamObserver } from "./dialect.ts";
import { readFrame } from "./frame-lines.ts";
import { type LineEnds, lineEndsIn, toLineFeeds } from "./line-ends.ts";
import type { StreamProgress } from "./verdict/answer.ts";
import { mayBeSpelled, usualBytes } from "./verdict/spelling.ts";

const LF = 10;
const CR = 13;
const QUOTE = 34;
const nothing = Buffer.alloc(0);
/** How many bytes a frame without text counts for: about one token. */
export const otherFrameLength = 4;
/** Markers before words that aren't the answer's text: tool arguments, reasoning, refusals. */
const otherMarkers = [
  '"arguments":"',
  '"partial_json":"',
  '"thinking":"',
  '"reasoning_content":"',
  '"reasoning":"',
  '"refusal":"',
];

/** true: pass the frame on unchanged. false: remove it. A buffer: pass that on instead. */
export type FrameVerdict = boolean | Buffer;

/** Whether a frame ends at or after `from`. */
function endsFrame(work: Buffer, from: number): boolean {
  for (let offset = work.indexOf(LF, from); offset >= 0; offset = work.indexOf(LF, offset + 1)) {
    if (work[offset + 1] === LF || (work[offset + 1] === CR && work[offset + 2] === LF)) return true;
  }
  return false;
}

/** Offset after the blank line that ends the frame, -1 if the frame is incomplete. */
function frameEnd(text: string, from: number): number {
  for (let offset = text.indexOf("\n", from); offset >= 0; offset = text.indexOf("\n", offset + 1)) {
    const next = text.charCodeAt(offset + 1);
    if (next === LF) return offset + 2;
    if (next === CR && text.charCodeAt(offset + 2) === LF) return offset + 3;
  }
  return -1;
}

/** Whether the frame from `start` to `end` has one line in addition to the blank one. */
export function isOneLine(text: string, start: number, end: number): boolean {
  return text.indexOf("\n", start) >= end - 3;
}

/**
 * Finds the next occurrence of a text that begins with a quote, so that a read with many frames is searched once rather
 * than once per frame. Searches for what follows the quote: JSON is full of quotes, and to stop at each costs twice as
 * much.
 */
export class Needle {
  readonly #bare: string;
  #text = "";
  /** Offset of the next occurrence's quote; -1 if there is none. */
  #next = -1;

  constructor(needle: `"${string}`) {
    this.#bare = needle.slice(1);
  }

  begin(text: string): void {
    this.#text = text;
    this.#next = this.#find(0);
  }

  #find(from: number): number {
    let index = this.#text.indexOf(this.#bare, from + 1);
    while (index > 0 && this.#text.charCodeAt(index - 1) !== QUOTE) index = this.#text.indexOf(this.#bare, index + 1);
    return index < 0 ? -1 : index - 1;
  }

  /** Offset after the first occurrence between `start` and `end`, -1 if there is none. */
  within(start: number, end: number): number {
    if (this.#next >= 0 && this.#next < start) this.#next = this.#find(start);
    const behind = this.#next + this.#bare.length + 1;
    return this.#next >= 0 && behind <= end ? behind : -1;
  }
}

/**
 * Bytes of a frame's text in its JSON form, for an estimate. `from`: offset after the marker before the text, -1 if the
 * frame has none.
 */
export function textLength(text: string, from: number, start: number, end: number): number {
  if (from >= 0) return quotedLength(text, from, end);
  const frame = text.slice(start, end);
  for (const marker of otherMarkers) {
    const offset = frame.indexOf(marker);
    if (offset >= 0) return Math.max(otherFrameLength, quotedLength(frame, offset + marker.length, frame.length));
  }
  return otherFrameLength;
}

/**
 * From the opening quote to the closing one or, without one, to the frame's end, even if part of the next frame has
 * arrived.
 */
function quotedLength(text: string, from: number, end: number): number {
  const close = closingQuote(text, from - 1);
  return (close < 0 ? end : Math.min(close, end)) - from;
}

/** What to pass on of a read: runs of unchanged frames, and replacements between them. */
class Kept {
  readonly #work: Buffer;
  readonly #pieces: Buffer[] = [];
  #from = 0;

  constructor(work: Buffer) {
    this.#work = work;
  }

  add(verdict: Exclude<FrameVerdict, true>, start: number, end: number): void {
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

const upTo = (work: Buffer, end: number): Buffer =>
  end === work.length ? work : end === 0 ? nothing : work.subarray(0, end);

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
  /** What is being read, and the same as Latin-1 text with the same offsets, which is faster to search. */
  protected work: Buffer = nothing;
  protected text = "";
  #held: Buffer = nothing;
  #heldBytes = 0;
  #lineEnds: LineEnds | null = null;

  constructor(maxBytes = maxEventBytes) {
    this.#maxEventBytes = maxBytes;
  }

  /** Called when `text` is new. */
  protected abstract begin(text: string): void;
  /** Handles one complete frame of `work`, including its blank line. Sets `ended`, `error` and `usage`. */
  protected abstract frame(start: number, end: number): FrameVerdict;

  /** `body`: the error body that the provider sent. */
  protected fail(message: string, code: string | null = null, body: unknown = null): false {
    this.error = { message, code };
    this.errorBody = body;
    return false;
  }

  /** Call with what each frame adds, until the answer has begun. */
  protected see(progress: StreamProgress): void {
    if (progress !== "waiting") this.progress = progress;
  }

  /** JSON of a frame's data. Returns undefined and sets `error` if it can't be parsed. */
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
    return this.#lineEnds === "LF" ? this.#run(work, Math.max(0, before - 2)) : this.#runAnyLines(work, before);
  }

  /** `before`: how much of it was held, in this observer's own memory. */
  #runAnyLines(work: Buffer, before: number): Uint8Array {
    const known = this.#lineEnds;
    this.#lineEnds ??= lineEndsIn(work);
    if (this.#lineEnds !== "CR") return this.#run(work, Math.max(0, before - 2));
    const own = before === 0 ? Buffer.from(work) : work;
    toLineFeeds(known === "CR" ? own.subarray(before) : own);
    return this.#run(own, known === "CR" ? Math.max(0, before - 2) : 0);
  }

  #begin(work: Buffer): string {
    this.work = work;
    this.text = work.toString("latin1");
    this.begin(this.text);
    return this.text;
  }

  #run(work: Buffer, scanFrom: number): Uint8Array {
    // A large frame arrives in many reads, and is made text only once.
    if (!endsFrame(work, scanFrom)) {
      this.#hold(work, 0);
      return nothing;
    }
    // Made for the first frame that isn't passed on as it is.
    let kept: Kept | null = null;
    let start = 0;
    const text = this.#begin(work);
    const spelled = mayBeSpelled(text);
    for (let end = frameEnd(text, scanFrom); end >= 0; end = frameEnd(text, start)) {
      const verdict = end - start > this.#maxEventBytes ? this.#tooLarge() : this.#judged(work, start, end, spelled);
      if (verdict !== true) (kept ??= new Kept(work)).add(verdict, start, end);
      start = end;
      if (this.ended || this.error !== null) break;
    }
    const out = kept === null ? upTo(work, start) : kept.bytes(start);
    this.#hold(work, start);
    // The stream may pause now, and must not keep the read's memory.
    this.#begin(nothing);
    return out;
  }

  /** Frames of a read with escapes of letters are judged one by one, in the usual spelling. */
  #judged(read: Buffer, start: number, end: number, spelled: boolean): FrameVerdict {
    if (!spelled) return this.frame(start, end);
    const frame = usualBytes(read.subarray(start, end));
    this.#begin(frame);
    return this.frame(0, frame.length);
  }

  /**
   * The held bytes followed by the chunk. The buffer at least doubles in size, so that a frame that arrives byte by byte
   * costs time linear in its size.
   */
  #append(chunk: Buffer): Buffer {
    const size = this.#heldBytes + chunk.length;
    if (size > this.#held.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(4096, size, this.#held.length * 2));
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
      // Bytes passed on may still be waiting in a socket, so their memory is never overwritten.
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

  /**
   * A last frame without its blank line is valid if its data is complete. Otherwise it is dropped, so that an error
   * event can follow.
   */
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
