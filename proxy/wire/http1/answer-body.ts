/**
 * The body of a provider's answer, after a head that the native parser has read and checked. A native parser takes 10
 * KB and is needed only for heads. It also allocates memory for each piece, which costs more than copying the piece.
 *
 *   size[;extension] CRLF ──▶ data CRLF ──▶ … ──▶ 0 CRLF ──▶ trailers ──▶ CRLF
 */
import { Buffer } from "node:buffer";
import { tokenForm as token } from "./fields.ts";
import { ownCopy } from "./reads.ts";

/** none: there is no body. close: it ends with the connection. */
export type BodyFraming = "none" | "length" | "chunked" | "close";

/** What `read` returns if the body goes on, or can't be read. */
export const goesOn = -1;
export const malformed = -2;

/** Longest line of a chunk's size with its extensions, and of all trailers together, in bytes; the same as llhttp's. */
const maxLineLength = 16_384;

const CR = 13;
const LF = 10;
const quoted = '"(?:[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"';
const extensions = new RegExp(`^(?:;${token}(?:=(?:${quoted}|(?:${token})?))?)*$`);
const trailer = new RegExp(`^${token}:[\\t\\x20-\\x7e\\x80-\\xff]*$`);
const sizeLine = /^(0*[0-9A-Fa-f]{1,12})(.*)$/;

/** Small pieces of streams share one buffer. It is small, because any piece in use keeps all of it in memory. */
const slabBytes = 8_192;
const largestInSlab = 1_024;
let slab = Buffer.allocUnsafeSlow(slabBytes);
let used = 0;

function inSlab(bytes: Buffer, from: number, to: number): Buffer {
  const length = to - from;
  if (used + length > slabBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    used = 0;
  }
  const piece = slab.subarray(used, used + length);
  bytes.copy(slab, used, from, to);
  used += length;
  return piece;
}

/** Of a chunked body, what is expected next. "end": the line end after a chunk's data. */
type Expected = "size" | "data" | "end" | "trailer";

export class AnswerBody {
  #framing: BodyFraming = "none";
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;
  #expected: Expected = "size";
  /** The part of a line that has arrived. */
  #line = "";
  #trailerBytes = 0;
  /** Where the data within a read begins and ends. */
  #first = -1;
  #behind = -1;
  /** The part of the body in the last read. */
  #piece: Buffer | null = null;

  /** `length`: the announced length, if there is one. */
  begin(framing: BodyFraming, length: number): void {
    this.#framing = framing;
    this.#left = length;
    this.#expected = "size";
    this.#line = "";
    this.#trailerBytes = 0;
  }

  /** The part of the body in the last read, which is not kept here. */
  take(): Buffer | null {
    const piece = this.#piece;
    this.#piece = null;
    return piece;
  }

  /** Whether the connection's end is the body's. */
  get endsWithConnection(): boolean {
    return this.#framing === "close";
  }

  /** Reads starting at `from`. Returns the offset after the body's end. May change `bytes`. */
  read(bytes: Buffer, from: number): number {
    this.#piece = null;
    switch (this.#framing) {
      case "none":
        return from;
      case "chunked":
        return this.#chunks(bytes, from);
      case "length": {
        const end = Math.min(bytes.length, from + this.#left);
        if (end > from) this.#piece = ownCopy(bytes, from, end);
        this.#left -= end - from;
        return this.#left === 0 ? end : goesOn;
      }
      case "close":
        if (bytes.length > from) this.#piece = ownCopy(bytes, from, bytes.length);
        return goesOn;
    }
  }

  #chunks(bytes: Buffer, from: number): number {
    this.#first = -1;
    this.#behind = -1;
    let offset = from;
    let result = goesOn;
    while (offset < bytes.length && result === goesOn) {
      offset = this.#expected === "data" ? this.#gather(bytes, offset) : this.#readLine(bytes, offset);
      if (offset === malformed || this.#framing === "none") result = offset;
    }
    const length = this.#behind - this.#first;
    if (length > 0) this.#piece = (length > largestInSlab ? ownCopy : inSlab)(bytes, this.#first, this.#behind);
    return result;
  }

  /** Moves the data of several chunks together, so that it is copied once. Returns the offset after it. */
  #gather(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#left);
    if (this.#first < 0) {
      this.#first = from;
      this.#behind = end;
    } else {
      bytes.copyWithin(this.#behind, from, end);
      this.#behind += end - from;
    }
    this.#left -= end - from;
    if (this.#left === 0) this.#expected = "end";
    return end;
  }

  /** Returns the offset after the line, or after the part of it that has arrived. */
  #readLine(bytes: Buffer, from: number): number {
    const end = bytes.indexOf(LF, from);
    const size = end < 0 ? -1 : this.#quickSize(bytes, from, end);
    if (size >= 0) {
      this.#begun(size);
      return end + 1;
    }
    // The usual case: the line end after a chunk's data is complete in this read.
    if (this.#expected === "end" && this.#line === "" && end === from + 1 && bytes[from] === CR) {
      this.#expected = "size";
      return end + 1;
    }
    const line = this.#line + bytes.toString("latin1", from, end < 0 ? bytes.length : end);
    if (line.length > maxLineLength) return malformed;
    this.#line = end < 0 ? line : "";
    if (end < 0) return this.#expected === "end" && line !== "\r" ? malformed : bytes.length;
    if (!line.endsWith("\r") || !this.#lineEnded(line.slice(0, -1))) return malformed;
    return end + 1;
  }

  /** The size in a line without extensions that has arrived whole, as nearly all have; -1 for any other line. */
  #quickSize(bytes: Buffer, from: number, end: number): number {
    if (this.#expected !== "size" || this.#line !== "" || bytes[end - 1] !== CR) return -1;
    if (end - from > 8 || end - from < 2) return -1;
    let size = 0;
    for (let offset = from; offset < end - 1; offset++) {
      const digit = hexDigit(bytes[offset] as number);
      if (digit < 0) return -1;
      size = size * 16 + digit;
    }
    return size;
  }

  #begun(size: number): void {
    this.#left = size;
    this.#expected = size === 0 ? "trailer" : "data";
  }

  /** Returns false if the line is not what is expected. */
  #lineEnded(line: string): boolean {
    if (this.#expected === "end") {
      this.#expected = "size";
      return line === "";
    }
    if (this.#expected === "size") {
      const [, size = "", rest = ""] = sizeLine.exec(line) ?? [];
      if (size === "" || !extensions.test(rest)) return false;
      this.#begun(Number.parseInt(size, 16));
      return true;
    }
    if (line === "") {
      this.#framing = "none";
      return true;
    }
    this.#trailerBytes += line.length;
    return this.#trailerBytes <= maxLineLength && trailer.test(line);
  }
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

type Fields = Readonly<Record<string, string | string[]>>;

/** The framing that a head announces, which the parser has checked; null for unusual forms, which it reads itself. */
export function framingOf(status: number, fields: Fields): BodyFraming | null {
  if (status === 204 || status === 304) return "none";
  const coding = fields["transfer-encoding"];
  if (coding !== undefined) return coding === "chunked" ? "chunked" : null;
  const length = fields["content-length"];
  if (length === undefined) return "close";
  return typeof length === "string" && Number.isSafeInteger(Number(length)) ? "length" : null;
}
