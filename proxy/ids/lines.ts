/** Edits of JSON lines within a stream of bytes, such as the input and output of a batch; every other line passes as it is. */
import { Buffer } from "node:buffer";

const newline = 10;
const brace = 123;
/**
 * Bytes of what some parsers skip before a value: every Unicode blank and line end, the byte order marks, and the zero
 * bytes of UTF-16 and UTF-32.
 */
const blanks: ReadonlySet<number> = new Set([
  ...[0x00, 0xfe, 0xff],
  ...Buffer.from(
    "\t\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff",
  ),
]);

/** A line that may be a JSON object is longer than this. */
export class LongLineError extends Error {
  override readonly name = "LongLineError";
}

/** The first byte that isn't a blank; undefined if there is none yet. */
function firstByte(line: Buffer): number | undefined {
  for (const byte of line) if (!blanks.has(byte)) return byte;
  return undefined;
}

export class LineEditor {
  readonly #edit: (line: string, number: number) => string | null;
  readonly #maxBytes: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** The first byte of the line that isn't a blank. */
  #first: number | undefined;
  /** Lines since the first one that was given to `edit`. */
  #number = 0;
  /** The line that is held is not an object: it passes as it comes. */
  #passing = false;

  /**
   * `edit`: null leaves a line as it is. Only lines that begin with a brace are given to it, the first of them as line
   * 1.
   */
  constructor(maxBytes: number, edit: (line: string, number: number) => string | null) {
    this.#maxBytes = maxBytes;
    this.#edit = edit;
  }

  /** Bytes of the line that isn't whole yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** What is whole now. Throws LongLineError, and whatever `edit` throws. */
  push(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      this.#take(chunk.subarray(start, end + 1), out);
      this.#flush(out);
      start = end + 1;
    }
    if (start < chunk.length) this.#take(chunk.subarray(start), out);
    return Buffer.concat(out);
  }

  end(): Buffer {
    const out: Buffer[] = [];
    this.#flush(out);
    return Buffer.concat(out);
  }

  #take(part: Buffer, out: Buffer[]): void {
    if (this.#passing) {
      out.push(part);
      return;
    }
    this.#held.push(part);
    this.#heldBytes += part.length;
    this.#first ??= firstByte(part);
    if (this.#first !== undefined && this.#first !== brace) {
      out.push(...this.#held);
      this.#held = [];
      this.#heldBytes = 0;
      this.#passing = true;
    } else if (this.#heldBytes > this.#maxBytes) throw new LongLineError("a line is too long");
  }

  #flush(out: Buffer[]): void {
    if (this.#number > 0) this.#number++;
    if (this.#heldBytes > 0) {
      const line = Buffer.concat(this.#held);
      const isObject = this.#first === brace;
      if (isObject) this.#number ||= 1;
      const edited = isObject ? this.#edit(line.toString("utf8"), this.#number) : null;
      out.push(edited === null ? line : Buffer.from(edited));
    }
    this.#held = [];
    this.#heldBytes = 0;
    this.#first = undefined;
    this.#passing = false;
  }
}
