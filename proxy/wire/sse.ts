/**
 * Parses server-sent events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation): lines end with LF, CRLF
 * or CR, `data` lines are joined by LF, and lines that begin with a colon are comments. Works on bytes, so a character
 * split between two reads survives.
 */
import { Buffer } from "node:buffer";

export interface SseFrame {
  /** "" if the frame has no `event:` line. */
  event: string;
  data: string;
}

/** An event grew past the limit: the upstream is broken or hostile. */
export class SseOverflowError extends Error {
  override readonly name = "SseOverflowError";
}

const LF = 10;
const CR = 13;
/** Largest event in bytes, unless the reader sets another limit. */
export const maxEventBytes = 1_048_576;

/** Position of the next LF or CR at or after `from`; -1 if there is none. */
function lineEnd(chunk: Buffer, from: number): number {
  for (let offset = from; offset < chunk.length; offset++) {
    const byte = chunk[offset];
    if (byte === LF || byte === CR) return offset;
  }
  return -1;
}

export class SseDecoder {
  readonly #maxEventBytes: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #event = "";
  #data: string | null = null;
  #skipLf = false;
  #first = true;

  constructor(maxBytes = maxEventBytes) {
    this.#maxEventBytes = maxBytes;
  }

  /** Bytes, about, of an event that has not arrived completely. */
  get heldBytes(): number {
    return this.#heldBytes + (this.#data?.length ?? 0);
  }

  /** Returns the frames that are now complete. Throws SseOverflowError. */
  push(bytes: Uint8Array): SseFrame[] {
    const frames: SseFrame[] = [];
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = this.#skipLf && chunk[0] === LF ? 1 : 0;
    if (chunk.length > 0) this.#skipLf = false;
    for (let offset = lineEnd(chunk, start); offset >= 0; offset = lineEnd(chunk, start)) {
      this.#line(this.#take(chunk.subarray(start, offset)), frames);
      const crlf = chunk[offset] === CR && chunk[offset + 1] === LF;
      this.#skipLf = chunk[offset] === CR && offset + 1 === chunk.length;
      start = crlf ? offset + 2 : offset + 1;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
    return frames;
  }

  #hold(rest: Buffer): void {
    this.#heldBytes += rest.length;
    if (this.#heldBytes + (this.#data?.length ?? 0) > this.#maxEventBytes)
      throw new SseOverflowError(`an event is larger than ${this.#maxEventBytes} bytes`);
    // Not from Node's buffer pool: the rest of an event would keep 64 KiB of it in memory while its stream pauses.
    const own = Buffer.allocUnsafeSlow(rest.length);
    rest.copy(own);
    this.#held.push(own);
  }

  #take(rest: Buffer): string {
    if (this.#heldBytes === 0) return rest.toString("utf8");
    this.#held.push(rest);
    const line = Buffer.concat(this.#held).toString("utf8");
    this.#held = [];
    this.#heldBytes = 0;
    return line;
  }

  #line(raw: string, frames: SseFrame[]): void {
    const line = this.#first && raw.charCodeAt(0) === 0xfeff ? raw.slice(1) : raw;
    this.#first = false;
    if (line === "") {
      if (this.#data !== null) frames.push({ event: this.#event, data: this.#data });
      this.#event = "";
      this.#data = null;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1);
    if (field === "data") this.#append(value);
    else if (field === "event") this.#event = value;
  }

  #append(value: string): void {
    this.#data = this.#data === null ? value : `${this.#data}\n${value}`;
    if (this.#data.length > this.#maxEventBytes)
      throw new SseOverflowError(`an event is larger than ${this.#maxEventBytes} bytes`);
  }
}
