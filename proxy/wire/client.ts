/** The client's side of one call: its body in, its answer out, and when it goes away. */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Readable, Transform, Writable } from "node:stream";
import type { Failure } from "../failure.ts";
import { asBuffer, framed, lastChunk } from "./chunked.ts";
import type { Incoming, ReadBounds } from "./incoming.ts";
import type { IndexedMember } from "./indexed-set.ts";
import { type ReplyFilter, ReplyFilters } from "./reply-filter.ts";
import { readBody } from "./request-body.ts";
import { afterTick, type Task } from "./tick-batch.ts";

/** Bodies up to this size are copied so that they leave together with their head. */
const maxJoinedBytes = 16_384;

/** Bodies up to this announced size are read to their end behind a refusal, so that the connection can be used again. */
const maxDrainedBytes = 65_536;

/** Puts headers to those of an answer: a copy of them would cost more than their making. */
export type AddHeaders = (headers: Record<string, string | number>) => void;

export class ClientConnection implements IndexedMember, Task {
  place = -1;
  readonly requestId: string;
  readonly #request: Incoming;
  readonly #response: ServerResponse;
  readonly #closing: () => boolean;
  #onClose: (() => void) | null = null;
  #onInterrupt: (() => void) | null = null;
  #filters: ReplyFilters | null = null;
  #closed = false;
  #always: AddHeaders | null = null;
  /** What is sent only once `release` is called. */
  #held: {
    status: number;
    headers: Record<string, string | number>;
    body: Uint8Array | string | undefined;
    ended: boolean;
  } | null = null;
  /** The same of a stream: its last bytes, from `write` with `last` on, and its end. */
  #heldEnd: { pieces: (Uint8Array | string)[]; last: boolean; ended: boolean } | null = null;
  /** The chunks of the answer are framed here. */
  #frames = false;
  /** The first of them was written, and the head with it. */
  #begun = false;
  /** Chunks of this turn, framed, as Latin-1. */
  #unsent = "";
  /** Bytes of the answer's body handed to the socket. */
  sentBytes = 0;

  /** `closing`: the server is on its way out, so clients are told to connect anew. */
  constructor(request: Incoming, response: ServerResponse, requestId: string, closing: () => boolean = () => false) {
    this.#closing = closing;
    this.#request = request;
    this.#response = response;
    this.requestId = requestId;
    response.on("close", () => {
      if (response.writableFinished) return;
      this.#closed = true;
      this.#onClose?.();
    });
    // A socket error shows as `close` as well; without a listener it would end the process.
    response.on("error", () => undefined);
  }

  get method(): string {
    return this.#request.method ?? "GET";
  }

  /** Path without the query, as it was sent: nothing is decoded or normalised. */
  get path(): string {
    const url = this.#request.url ?? "/";
    const query = url.indexOf("?");
    return query < 0 ? url : url.slice(0, query);
  }

  /** Path and query, as they were sent. */
  get url(): string {
    return this.#request.url ?? "/";
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  /** Names and values in turn, as they were sent. */
  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }

  get httpVersion(): string {
    return this.#request.httpVersion;
  }

  header(name: string): string | null {
    const value = this.#request.headers[name];
    return typeof value === "string" ? value : (value?.[0] ?? null);
  }

  get socket(): Socket {
    return this.#request.socket;
  }

  get remoteAddress(): string {
    return this.#request.socket.remoteAddress ?? "";
  }

  /** The client went away before its answer was complete. */
  get closed(): boolean {
    return this.#closed;
  }

  /** The answer's head has been sent, so that a failure can only be an event in the stream. */
  get started(): boolean {
    return this.#response.headersSent;
  }

  /** One listener at a time; null removes it. Called at once where the client is gone already. */
  onClose(listener: (() => void) | null): void {
    this.#onClose = listener;
    if (listener && this.#closed) listener();
  }

  /** What to do when the gateway has to stop before the answer is complete; null removes it. */
  onInterrupt(listener: (() => void) | null): void {
    this.#onInterrupt = listener;
  }

  /** The grace period of a drain is over. false: nobody is there to end the answer. */
  interrupt(): boolean {
    const listener = this.#onInterrupt;
    listener?.();
    return listener !== null;
  }

  /** Tells a client that waits for it to send the body: only now is it known that somebody wants it. */
  #continue(): void {
    if (this.#request.headers.expect?.toLowerCase() === "100-continue" && !this.#request.complete)
      this.#response.writeContinue();
  }

  /** The whole body, at most `maxBytes`; at once where it is all there. `orElse`: what may be done besides sending less. */
  readBody(maxBytes: number, orElse = "", bounds: ReadBounds = {}): Buffer | Failure | Promise<Buffer | Failure> {
    this.#continue();
    return readBody(this.#request, maxBytes, orElse, bounds);
  }

  /** Headers of every answer, whatever comes of the call. */
  always(add: AddHeaders): void {
    const first = this.#always;
    this.#always =
      first === null
        ? add
        : (headers) => {
            first(headers);
            add(headers);
          };
  }

  /** The body as it comes, through `through`; its errors are those of the stream that is given back. */
  bodyStream(through: Transform): Readable {
    this.#continue();
    const request = this.#request.asStream();
    request.once("error", (cause) => through.destroy(cause));
    request.once("close", () => {
      if (!request.complete) through.destroy(new Error("the client went away"));
    });
    return request.pipe(through);
  }

  /** Nothing of a whole answer is sent until `release`, where a later one takes the place of an earlier one; and of a stream not its end. */
  hold(): void {
    this.#held = { status: 0, headers: {}, body: undefined, ended: false };
  }

  get holding(): boolean {
    return this.#held !== null || this.#heldEnd !== null;
  }

  /** What was held back of a stream is not sent. */
  cut(): void {
    this.#heldEnd = null;
  }

  release(): void {
    const end = this.#heldEnd;
    this.#heldEnd = null;
    for (const piece of end?.pieces ?? []) this.writeRaw(piece);
    if (end?.ended) this.end();
    const held = this.#held;
    this.#held = null;
    if (held === null || held.status === 0) return;
    this.head(held.status, held.headers);
    if (held.ended) this.end(held.body);
  }

  head(status: number, headers: Record<string, string | number>): void {
    if (this.#held !== null) {
      this.#held = { status, headers, body: undefined, ended: false };
      return;
    }
    if (this.#closed || this.#response.headersSent) return;
    if (this.#closing()) headers["connection"] = "close";
    this.#always?.(headers);
    this.#response.writeHead(status, headers);
  }

  /**
   * Begins an answer of unknown length, whose chunks leave in one piece each (see chunked.ts).
   */
  streamHead(headers: Record<string, string | number>): void {
    if (this.#held !== null) this.#heldEnd = { pieces: [], last: false, ended: false };
    this.#held = null;
    const frames = this.httpVersion === "1.1" && !this.started;
    if (frames) headers["transfer-encoding"] = "chunked";
    this.head(200, headers);
    if (!frames) return;
    this.#response.chunkedEncoding = false;
    this.#frames = true;
  }

  /** The answer meets this filter before those that were added earlier. */
  filter(filter: ReplyFilter): void {
    this.#filters ??= new ReplyFilters();
    this.#filters.add(filter);
  }

  /** The answer meets this filter before all others, whenever they are added. */
  filterFirst(filter: ReplyFilter): void {
    this.#filters ??= new ReplyFilters();
    this.#filters.addFirst(filter);
  }

  /** A whole answer, through the filters. `headers` without content-length. */
  reply(status: number, headers: Record<string, string | number>, body: Uint8Array | string): void {
    const filtered = this.#filters === null ? body : this.#filters.whole(body);
    headers["content-length"] = typeof filtered === "string" ? Buffer.byteLength(filtered) : filtered.length;
    this.head(status, headers);
    this.end(filtered);
  }

  /** Bytes of a stream, through the filters; `last`: it ends with them. false when the socket's buffer is full: wait for `onDrain`. */
  write(bytes: Uint8Array | string, last = false): boolean {
    if (last && this.#heldEnd !== null) this.#heldEnd.last = true;
    return this.writeRaw(this.#filters === null ? bytes : this.#filters.chunk(bytes));
  }

  /** The proper end of a stream, with what the filters still hold. */
  finish(): void {
    if (this.#filters !== null) for (const piece of this.#filters.last()) this.writeRaw(piece);
    this.end();
  }

  /** Past the filters: events of the gateway's own. */
  writeRaw(bytes: Uint8Array | string): boolean {
    if (this.#closed || bytes.length === 0) return true;
    if (this.#heldEnd?.last) {
      this.#heldEnd.pieces.push(bytes);
      return true;
    }
    const chunk = asBuffer(bytes);
    this.sentBytes += chunk.length;
    if (!this.#frames) return this.#response.write(chunk);
    const out = framed(chunk);
    if (this.#begun && typeof out === "string") {
      if (this.#unsent === "") afterTick(this);
      this.#unsent += out;
      return !this.#stream().writableNeedDrain;
    }
    this.run();
    const to = this.#stream();
    this.#begun = true;
    return typeof out === "string" ? to.write(out, "latin1") : to.write(out);
  }

  /** Writes what of the stream has gathered in this turn. */
  run(): void {
    const out = this.#unsent;
    this.#unsent = "";
    if (out !== "" && !this.#closed) this.#stream().write(out, "latin1");
  }

  /**
   * What is written behind the head. node:http adds nothing to chunks that are framed already, but holds each back to the
   * end of the tick; it has no socket yet for an answer that waits for an earlier one of the same connection.
   */
  #stream(): Writable {
    return (this.#begun ? this.#response.socket : null) ?? this.#response;
  }

  onDrain(listener: () => void): void {
    this.#stream().once("drain", listener);
  }

  end(bytes?: Uint8Array | string): void {
    if (this.#held !== null) {
      this.#held.body = bytes;
      this.#held.ended = true;
      return;
    }
    if (this.#heldEnd !== null) {
      this.#heldEnd.ended = true;
      return;
    }
    if (this.#closed || this.#response.writableEnded) return;
    if (this.#frames) {
      if (bytes !== undefined) this.writeRaw(bytes);
      this.run();
      this.#response.end(lastChunk, "latin1");
      return;
    }
    if (bytes !== undefined) this.sentBytes += Buffer.byteLength(bytes);
    // node:http writes head and a short string in one piece, but head and a buffer in two.
    if (Buffer.isBuffer(bytes) && bytes.length <= maxJoinedBytes)
      this.#response.end(bytes.toString("latin1"), "latin1");
    else this.#response.end(bytes);
    // A large body that was refused unread would keep the connection busy: close it behind the answer. Of a small one
    // node:http reads the rest and throws it away, which costs both sides less than a new connection.
    if (!this.#request.complete && !(Number(this.header("content-length") ?? Number.NaN) <= maxDrainedBytes))
      this.#response.once("finish", () => this.#request.destroy());
  }

  /** Cuts the connection: the client reads too slowly, or a drain is over. */
  destroy(): void {
    this.#response.destroy();
  }
}
