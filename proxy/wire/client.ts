/** The client's side of one call: its body in, its answer out, and when it goes away. */
import { Buffer, isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Readable, Transform, Writable } from "node:stream";
import { type Failure, failure } from "../failure.ts";
import type { Body, Incoming } from "./incoming.ts";
import type { Member } from "./members.ts";
import { behindTurn, type Task } from "./turns.ts";

/** Bodies up to this size are copied so that they leave together with their head. */
const maxJoinedBytes = 16_384;

/** Bodies up to this announced size are read to their end behind a refusal, so that the connection can be used again. */
const maxDrainedBytes = 65_536;

/** Chunks of a stream up to this size become strings, which node:http writes in one piece with the head. */
const maxStringBytes = 8_192;
const crlf = Buffer.from("\r\n");

function asBuffer(bytes: Uint8Array | string): Buffer {
  if (typeof bytes === "string") return Buffer.from(bytes);
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A chunk of HTTP/1.1's chunked coding (RFC 9112, section 7.1) in one piece, as bytes or as Latin-1 text. */
function framed(bytes: Uint8Array | string): Buffer | string {
  const buffer = asBuffer(bytes);
  const size = `${buffer.length.toString(16)}\r\n`;
  if (buffer.length <= maxStringBytes) return `${size}${buffer.toString("latin1")}\r\n`;
  return Buffer.concat([Buffer.from(size, "latin1"), buffer, crlf]);
}

/** Sees an answer on its way to the client, and may change it. Failures don't pass through it. */
export interface ReplyFilter {
  /** A whole answer's body. */
  whole(body: Uint8Array | string): Uint8Array | string;
  /** Bytes of a stream, cut anywhere; what goes on now. */
  chunk(bytes: Uint8Array | string): Uint8Array | string;
  /** The stream came to its proper end; what was still held back. */
  last(): Uint8Array | string;
}

/** Puts headers to those of an answer: a copy of them would cost more than their making. */
export type AddHeaders = (headers: Record<string, string | number>) => void;

export class ClientConnection implements Member, Task {
  place = -1;
  readonly requestId: string;
  readonly #request: Incoming;
  readonly #response: ServerResponse;
  readonly #closing: () => boolean;
  #onClose: (() => void) | null = null;
  #onInterrupt: (() => void) | null = null;
  /** Nearest to the gateway first. */
  readonly #filters: ReplyFilter[] = [];
  /** So many of them stay before those that are added later. */
  #firsts = 0;
  #closed = false;
  #always: AddHeaders | null = null;
  /** What is sent only once `release` is called. */
  #held: { status: number; headers: Record<string, string | number>; body: Uint8Array | string | undefined; ended: boolean } | null = null;
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

  /** The grace period of a drain is over. */
  interrupt(): void {
    if (this.#onInterrupt) this.#onInterrupt();
    else this.destroy();
  }

  /**
   * The whole body, at most `maxBytes`; at once where it is all there. What is too large is refused as soon as it is known,
   * with `orElse`: what may be done besides sending less.
   */
  readBody(maxBytes: number, orElse = ""): Buffer | Failure | Promise<Buffer | Failure> {
    const announced = Number(this.header("content-length") ?? 0);
    if (announced > maxBytes) return tooLarge(maxBytes, orElse);
    const body = this.#request.whole(maxBytes);
    return body instanceof Promise ? body.then((read) => wellFormed(read, maxBytes, orElse)) : wellFormed(body, maxBytes, orElse);
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
   * Begins an answer of unknown length. The chunks are framed here and not by node:http, which makes four pieces of
   * each: head, size, chunk and line end leave as one.
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
    this.#filters.splice(this.#firsts, 0, filter);
  }

  /** The answer meets this filter before all others, whenever they are added. */
  filterFirst(filter: ReplyFilter): void {
    this.#filters.unshift(filter);
    this.#firsts++;
  }

  /** A whole answer, through the filters. `headers` without content-length. */
  reply(status: number, headers: Record<string, string | number>, body: Uint8Array | string): void {
    const filtered = this.#filters.length === 0 ? body : this.#filters.reduce((bytes, filter) => filter.whole(bytes), body);
    headers["content-length"] = typeof filtered === "string" ? Buffer.byteLength(filtered) : filtered.length;
    this.head(status, headers);
    this.end(filtered);
  }

  /** Bytes of a stream, through the filters; `last`: it ends with them. false when the socket's buffer is full: wait for `onDrain`. */
  write(bytes: Uint8Array | string, last = false): boolean {
    if (last && this.#heldEnd !== null) this.#heldEnd.last = true;
    return this.writeRaw(this.#filters.length === 0 ? bytes : this.#filters.reduce((part, filter) => filter.chunk(part), bytes));
  }

  /** The proper end of a stream, with what the filters still hold. */
  finish(): void {
    for (const [at, filter] of this.#filters.entries()) {
      const held = filter.last();
      if (held.length > 0) this.writeRaw(this.#filters.slice(at + 1).reduce((part, next) => next.chunk(part), held));
    }
    this.end();
  }

  /** Past the filters: events of the gateway's own. */
  writeRaw(bytes: Uint8Array | string): boolean {
    if (this.#closed || bytes.length === 0) return true;
    if (this.#heldEnd?.last) {
      this.#heldEnd.pieces.push(bytes);
      return true;
    }
    this.sentBytes += bytes.length;
    if (!this.#frames) return this.#response.write(bytes);
    const out = framed(bytes);
    if (this.#begun && typeof out === "string") {
      if (this.#unsent === "") behindTurn(this);
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
      this.#response.end("0\r\n\r\n", "latin1");
      return;
    }
    if (bytes !== undefined) this.sentBytes += bytes.length;
    // node:http writes head and a short string in one piece, but head and a buffer in two.
    if (Buffer.isBuffer(bytes) && bytes.length <= maxJoinedBytes) this.#response.end(bytes.toString("latin1"), "latin1");
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

function wellFormed(body: Body, maxBytes: number, orElse: string): Buffer | Failure {
  if (body === "too_large") return tooLarge(maxBytes, orElse);
  if (body === "gone") return failure("client_closed_request", "The client went away while sending its request.");
  return isUtf8(body) ? body : failure("invalid_utf8", "The request body is not valid UTF-8. Send JSON encoded as UTF-8.");
}

function tooLarge(maxBytes: number, orElse: string): Failure {
  return failure("request_too_large", `The request body is larger than ${maxBytes} bytes. Send a smaller one${orElse}.`);
}
