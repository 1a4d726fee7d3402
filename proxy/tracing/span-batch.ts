/**
 * Spans that are sent in one request, as its bytes. As strings they would outlive two garbage collections until they are
 * sent, and be joined and encoded then: bytes are written once, into memory that the next batch uses again.
 */
import { Buffer } from "node:buffer";
import type { OtlpEncoding } from "./otlp.ts";

const firstBytes = 65_536;
/** What goes before the spans is written last, since it may hold their length. */
const maxBefore = 512;
/** A larger buffer isn't kept for the next batch. */
const maxKeptBytes = 2_097_152;

let spare: Buffer | null = null;

function takeSpare(): Buffer {
  const taken = spare ?? Buffer.allocUnsafeSlow(firstBytes);
  spare = null;
  return taken;
}

export class SpanBatch {
  readonly #encoding: OtlpEncoding;
  #bytes = takeSpare();
  #used = maxBefore;
  count = 0;

  constructor(encoding: OtlpEncoding) {
    this.#encoding = encoding;
  }

  add(span: string): void {
    if (this.count > 0) this.#write(this.#encoding.separator);
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
    this.#used += this.#bytes.write(text, this.#used, this.#encoding.charset);
  }

  /** The request's body. No span can be added afterwards. */
  body(): Buffer {
    const { traces, charset } = this.#encoding;
    const before = traces.before(this.#used - maxBefore);
    const from = maxBefore - Buffer.byteLength(before, charset);
    this.#bytes.write(before, from, charset);
    this.#write(traces.after);
    return this.#bytes.subarray(from, this.#used);
  }

  /** Call it when the body is no longer in use. */
  release(): void {
    if (this.#bytes.length <= maxKeptBytes) spare = this.#bytes;
  }
}
