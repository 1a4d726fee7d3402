/** Keeps the beginning of an answer on its way to the client, as it is: it is read once nobody waits for it. */
import { Buffer } from "node:buffer";
import type { ReplyFilter } from "../wire/reply-filter.ts";
import type { ShadowRoom } from "./room.ts";

/** Most bytes kept of a stream. A whole answer is kept only if it is not larger than this. */
const maxKept = 262_144;

export class AnswerTap implements ReplyFilter {
  readonly #room: ShadowRoom;
  #pieces: Buffer[] = [];
  #bytes = 0;
  #full = false;

  constructor(room: ShadowRoom) {
    this.#room = room;
  }

  whole(body: Uint8Array | string): Uint8Array | string {
    this.#keep(body);
    return body;
  }

  chunk(bytes: Uint8Array | string): Uint8Array | string {
    if (!this.#full) this.#keep(bytes);
    return bytes;
  }

  last(): string {
    return "";
  }

  #keep(bytes: Uint8Array | string): void {
    const length = typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length;
    this.#full = this.#bytes + length > maxKept || !this.#room.take(length);
    if (this.#full) return;
    this.#bytes += length;
    // Copied, because the connection reuses its memory.
    this.#pieces.push(typeof bytes === "string" ? Buffer.from(bytes) : Buffer.from(bytes));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  /** Gives its memory back. */
  release(): void {
    this.#room.give(this.#bytes);
    this.#pieces = [];
    this.#bytes = 0;
    this.#full = true;
  }
}
