/** Edits of JSON lines within a stream of bytes, such as the input and output of a batch; every other line passes as it is. */
import { Buffer } from "node:buffer";

const newline = 10;
const brace = 123;
const blanks: ReadonlySet<number> = new Set([32, 9, 13, 0xef, 0xbb, 0xbf]);

/** A line that may be a JSON object is longer than this. */
export class LongLineError extends Error {
  override readonly name = "LongLineError";
}

function mayBeObject(line: Buffer): boolean {
  let index = 0;
  while (blanks.has(line[index] ?? brace)) index++;
  return line[index] === brace;
}

export class LineEditor {
  readonly #edit: (line: string) => string | null;
  readonly #maxBytes: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** The line that is held is not an object: it passes as it comes. */
  #passing = false;

  /** `edit`: null leaves a line as it is. Only lines that begin with a brace are given to it. */
  constructor(maxBytes: number, edit: (line: string) => string | null) {
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
    const [first] = this.#held;
    if (this.#held.length === 1 && first !== undefined && !mayBeObject(first) && first.length > blanks.size) {
      out.push(...this.#held);
      this.#held = [];
      this.#heldBytes = 0;
      this.#passing = true;
    } else if (this.#heldBytes > this.#maxBytes) throw new LongLineError("a line is too long");
  }

  #flush(out: Buffer[]): void {
    if (this.#heldBytes > 0) {
      const line = Buffer.concat(this.#held);
      const edited = mayBeObject(line) ? this.#edit(line.toString("utf8")) : null;
      out.push(edited === null ? line : Buffer.from(edited));
    }
    this.#held = [];
    this.#heldBytes = 0;
    this.#passing = false;
  }
}
