/**
 * Spans that are sent in one request, as its bytes. As strings they would outlive two garbage collections until they are
 * sent, and be joined and encoded then: bytes are written once, into memory that the next batch uses again.
 */
import { Buffer } from "node:buffer";
import type { TextBytes } from "../wire/text-bytes.ts";
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

  add(span: TextBytes): void {
    this.#write(this.#encoding.beforeSpan(span.length, this.count === 0));
    this.#reserve(span.length);
    span.copyTo(this.#bytes, this.#used);
    this.#used += span.length;
    this.count++;
  }

  #reserve(bytes: number): void {
    const needed = this.#used + bytes;
    if (needed <= this.#bytes.length) return;
    const more = Buffer.allocUnsafeSlow(2 * needed);
    this.#bytes.copy(more, 0, 0, this.#used);
    this.#bytes = more;
  }

  /** A short text of the encoding's own, in ASCII or bytes. */
  #write(text: string): void {
    this.#reserve(text.length);
    for (let index = 0; index < text.length; index++) this.#bytes[this.#used++] = text.charCodeAt(index);
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
