/**
 * Spans that are sent in one request, as its bytes. As strings they would outlive two garbage collections until they are
 * sent, and be joined and encoded then: bytes are written once, into memory that the next batch uses again.
 */
import { Buffer } from "node:buffer";

const firstBytes = 65_536;
/** A larger buffer isn't kept for the next batch. */
const mostKeptBytes = 2_097_152;

/** What encloses the spans. */
export interface BatchFrame {
  before: string;
  after: string;
}

let spare: Buffer | null = null;

function takeSpare(): Buffer {
  const taken = spare ?? Buffer.allocUnsafeSlow(firstBytes);
  spare = null;
  return taken;
}

export class SpanBatch {
  readonly #frame: BatchFrame;
  #bytes = takeSpare();
  #used = 0;
  count = 0;

  constructor(frame: BatchFrame) {
    this.#frame = frame;
    this.#write(frame.before);
  }

  add(span: string): void {
    if (this.count > 0) this.#write(",");
    this.#write(span);
    this.count++;
  }

  #write(text: string): void {
    // At most three bytes for each UTF-16 unit.
    const needed = this.#used + 3 * text.length;
    if (needed > this.#bytes.length) {
      const more = Buffer.allocUnsafeSlow(2 * needed);
      this.#bytes.copy(more, 0, 0, this.#used);
      this.#bytes = more;
    }
    this.#used += this.#bytes.write(text, this.#used);
  }

  /** The request's body. No span can be added afterwards. */
  body(): Buffer {
    this.#write(this.#frame.after);
    return this.#bytes.subarray(0, this.#used);
  }

  /** Call it when the body is no longer in use. */
  release(): void {
    if (this.#bytes.length <= mostKeptBytes) spare = this.#bytes;
  }
}
