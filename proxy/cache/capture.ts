/** Records an answer on its way to the client. */
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

  /** The whole answer; null if it did not end properly or is too large to store. */
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
    // Copied, because the chunk is a view of a buffer that is reused.
    if (this.#size <= this.#maxBytes) this.#parts.push(Buffer.from(bytes as string));
    else this.#parts = [];
  }
}
