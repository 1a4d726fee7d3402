/** Remembers an answer while it passes on its way to the client. */
import { Buffer } from "node:buffer";
import type { ReplyFilter } from "../wire/reply-filter.ts";

export class Capture implements ReplyFilter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #size = 0;
  #complete = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The whole answer; null where it did not come to its end, or is too large to keep. */
  get body(): Buffer | null {
    return this.#complete && this.#size <= this.#maxBytes ? Buffer.concat(this.#parts) : null;
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    this.#take(body);
    this.#complete = true;
    return body;
  }

  chunk(bytes: Uint8Array | string): Uint8Array | string {
    this.#take(bytes);
    return bytes;
  }

  last(): string {
    this.#complete = true;
    return "";
  }

  #take(bytes: Uint8Array | string): void {
    this.#size += bytes.length;
    // Bytes are copied: a chunk is a view of a buffer that is used again.
    if (this.#size <= this.#maxBytes) this.#parts.push(Buffer.from(bytes as string));
    else this.#parts = [];
  }
}
