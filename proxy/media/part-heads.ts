/**
 * Watches the headers of a form's parts as it streams through: refuses a part that its reader would decode, as the
 * gateway's checks of the content would then have seen another text than the provider. RFC 7578, 4.7, deprecates
 * Content-Transfer-Encoding; Go's multipart reader, among others, still obeys it.
 */
import { Buffer } from "node:buffer";

const maxHeadBytes = 8_192;
const blankLine = /\r?\n\r?\n/;
/** Also with its value on the next line, which old readers join. */
const encoding = /content-transfer-encoding[ \t]*:\s*([^\r\n]*)/gi;
const asIs = /^(7bit|8bit|binary)[ \t]*$/i;

export class PartHeads {
  readonly #delimiter: Buffer;
  /** The end of what was read, which may be the start of a delimiter. */
  #tail = Buffer.alloc(0);
  /** Headers of a part, while they are incomplete. */
  #head: string | null = null;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`--${boundary}`);
  }

  /** What is wrong with a part; null if nothing is. */
  push(chunk: Buffer): string | null {
    let rest = chunk;
    while (rest.length > 0) {
      const next = this.#head === null ? this.#content(rest) : this.#headers(rest);
      if (typeof next === "string") return next;
      rest = next;
    }
    return null;
  }

  /** Reads up to the next delimiter. Returns what follows it. */
  #content(chunk: Buffer): Buffer {
    const text = this.#tail.length === 0 ? chunk : Buffer.concat([this.#tail, chunk]);
    const index = text.indexOf(this.#delimiter);
    if (index < 0) {
      this.#tail = Buffer.from(text.subarray(Math.max(0, text.length - this.#delimiter.length + 1)));
      return text.subarray(text.length);
    }
    this.#tail = Buffer.alloc(0);
    this.#head = "";
    return text.subarray(index + this.#delimiter.length);
  }

  /** Reads up to the blank line that ends the headers. A delimiter may follow it directly. */
  #headers(chunk: Buffer): Buffer | string {
    const before = this.#head as string;
    const head = before + chunk.toString("latin1", 0, maxHeadBytes + 4);
    const end = blankLine.exec(head);
    const length = end === null ? head.length : end.index + end[0].length;
    if (length > maxHeadBytes) return "a part has too many headers";
    const names = head.slice(0, length);
    for (const [, value = ""] of names.matchAll(encoding))
      if (!asIs.test(value)) return "a part is encoded; send parts as they are";
    this.#head = end === null ? head : null;
    return chunk.subarray(length - before.length);
  }
}
