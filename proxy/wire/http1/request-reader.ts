/** Reads a client's requests: those of the usual form here, all others with Node's parser. */
import type { Buffer } from "node:buffer";
import { MessageParser, type MessageSink, type ParseResult } from "./parser.ts";
import { ownCopy } from "./reads.ts";
import { headText, isRepeated, maxUsualBytes, type RequestHead, repeatedRequest, usualRequest } from "./usual-head.ts";

export class RequestReader {
  readonly #sink: MessageSink;
  readonly #parser: MessageParser;
  readonly #maxHeadBytes: number;
  #last: RequestHead | null = null;
  /** Bytes still to come of a body whose head had the usual form. */
  #left = 0;

  constructor(sink: MessageSink, maxHeaderBytes: number) {
    this.#sink = sink;
    this.#parser = new MessageParser("request", sink, maxHeaderBytes);
    // Heads near the limit are left to the parser, which enforces it.
    this.#maxHeadBytes = Math.min(maxUsualBytes, maxHeaderBytes / 2);
  }

  /** The bytes may be overwritten afterwards. */
  read(bytes: Buffer): ParseResult {
    let from = this.#left === 0 ? 0 : this.#body(bytes, 0);
    while (from < bytes.length && this.#parser.idle) {
      const behind = this.#usual(bytes, from);
      if (behind === null) break;
      from = behind;
    }
    if (from === bytes.length) return null;
    if (from === 0) return this.#parser.read(bytes);
    const result = this.#parser.read(bytes.subarray(from));
    return result === null || typeof result === "string" ? result : { unreadFrom: from + result.unreadFrom };
  }

  /** Returns the offset after the part of a request that has arrived; null if the parser must read it. */
  #usual(bytes: Buffer, from: number): number | null {
    const last = this.#last;
    if (last !== null && isRepeated(last, bytes, from)) return this.#begin(last, bytes, from);
    const text = headText(bytes, from, this.#maxHeadBytes);
    if (text === null) return null;
    const request = (last === null ? null : repeatedRequest(last, text)) ?? usualRequest(text);
    if (request === null) return null;
    this.#last = request;
    return this.#begin(request, bytes, from);
  }

  #begin({ head, length, text }: RequestHead, bytes: Buffer, from: number): number {
    this.#sink.head(head);
    this.#left = length;
    if (length > 0) return this.#body(bytes, from + text.length);
    this.#sink.complete();
    return from + text.length;
  }

  #body(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#left);
    if (end === from) return end;
    this.#left -= end - from;
    this.#sink.body(ownCopy(bytes, from, end));
    if (this.#left === 0) this.#sink.complete();
    return end;
  }

  /** Must not be called while it reads. */
  close(): void {
    this.#parser.close();
  }
}
