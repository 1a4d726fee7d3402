/** The client's side of one call: reads its body, writes its answer, and notices when it disconnects. */
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

/** Largest body, in bytes, that is copied so that it is written together with its head. */
const maxJoinedBytes = 16_384;

/** Largest declared body, in bytes, that is read to its end after a refusal so that the connection can be reused. */
const maxDrainedBytes = 65_536;

/** Adds to an answer's headers in place: copying them would cost more than building them. */
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
  /** A whole answer that is held until `release` is called. */
  #held: {
    status: number;
    headers: Record<string, string | number>;
    body: Uint8Array | string | undefined;
    ended: boolean;
  } | null = null;
  /** The end of a stream that is held until `release`: its last bytes, from `write` with `last` on. */
  #heldEnd: { pieces: (Uint8Array | string)[]; last: boolean; ended: boolean } | null = null;
  /** Whether the answer's chunks are framed here rather than by node:http. */
  #frames = false;
  /** Whether the first chunk was written, together with the head. */
  #begun = false;
  /** Framed chunks of the current turn of the event loop, as Latin-1. */
  #unsent = "";
  /** Bytes of the answer's body that were handed to the socket. */
  sentBytes = 0;

  /** `closing`: the server is shutting down, so answers ask clients to reconnect. */
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
    // A socket error is also reported as `close`, but without this listener it would end the process.
    response.on("error", () => undefined);
  }

  get method(): string {
    return this.#request.method ?? "GET";
  }

  /** Path without the query, exactly as sent: neither decoded nor normalised. */
  get path(): string {
    const url = this.#request.url ?? "/";
    const query = url.indexOf("?");
    return query < 0 ? url : url.slice(0, query);
  }

  /** Path and query, exactly as sent. */
  get url(): string {
    return this.#request.url ?? "/";
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  /** Header names and values alternately, exactly as sent. */
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

  /** Whether the client disconnected before its answer was complete. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the answer's head has been sent, so that a failure can only be an event in the stream. */
  get started(): boolean {
    return this.#response.headersSent;
  }

  /** Sets the only disconnect listener; null removes it. Called at once if the client has already disconnected. */
  onClose(listener: (() => void) | null): void {
    this.#onClose = listener;
    if (listener && this.#closed) listener();
  }

  /** Sets what to do if the gateway has to stop before the answer is complete; null removes it. */
  onInterrupt(listener: (() => void) | null): void {
    this.#onInterrupt = listener;
  }

  /** Ends the answer because the drain's grace period is over. Returns false if no handler is set. */
  interrupt(): boolean {
    const listener = this.#onInterrupt;
    listener?.();
    return listener !== null;
  }

  /** Sends 100 Continue to a client that waits for it, now that its body is wanted. */
  #continue(): void {
    if (this.#request.headers.expect?.toLowerCase() === "100-continue" && !this.#request.complete)
      this.#response.writeContinue();
  }

  /**
   * Reads the whole body, at most `maxBytes`; synchronously if all of it has arrived. `orElse`: a remedy besides
   * sending less.
   */
  readBody(maxBytes: number, orElse = "", bounds: ReadBounds = {}): Buffer | Failure | Promise<Buffer | Failure> {
    this.#continue();
    return readBody(this.#request, maxBytes, orElse, bounds);
  }

  /** Headers sent with every answer, whatever the outcome of the call. */
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

  /** Streams the body through `through`; its errors are reported on the returned stream. */
  bodyStream(through: Transform): Readable {
    this.#continue();
    const request = this.#request.asStream();
    request.once("error", (cause) => through.destroy(cause));
    request.once("close", () => {
      if (!request.complete) through.destroy(new Error("the client went away"));
    });
    return request.pipe(through);
  }

  /** Holds a whole answer, or the end of a stream, until `release`. A later whole answer replaces an earlier one. */
  hold(): void {
    this.#held = { status: 0, headers: {}, body: undefined, ended: false };
  }

  get holding(): boolean {
    return this.#held !== null || this.#heldEnd !== null;
  }

  /** Discards the held end of a stream. */
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
   * Begins an answer of unknown length, each of whose chunks is written in one piece (see chunked.ts).
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

  /** Adds a filter that the answer passes before those added earlier. */
  filter(filter: ReplyFilter): void {
    this.#filters ??= new ReplyFilters();
    this.#filters.add(filter);
  }

  /** Adds a filter that the answer passes before all others, whenever those are added. */
  filterFirst(filter: ReplyFilter): void {
    this.#filters ??= new ReplyFilters();
    this.#filters.addFirst(filter);
  }

  /** Sends a whole answer through the filters. `headers` come without content-length. */
  reply(status: number, headers: Record<string, string | number>, body: Uint8Array | string): void {
    const filtered = this.#filters === null ? body : this.#filters.whole(body);
    headers["content-length"] = typeof filtered === "string" ? Buffer.byteLength(filtered) : filtered.length;
    this.head(status, headers);
    this.end(filtered);
  }

  /**
   * Sends bytes of a stream through the filters. `last`: the stream ends with them. Returns false if the socket is
   * full: wait for `onDrain`.
   */
  write(bytes: Uint8Array | string, last = false): boolean {
    if (last && this.#heldEnd !== null) this.#heldEnd.last = true;
    return this.writeRaw(this.#filters === null ? bytes : this.#filters.chunk(bytes));
  }

  /** Ends a complete stream, after sending what the filters still hold. */
  finish(): void {
    if (this.#filters !== null) for (const piece of this.#filters.last()) this.writeRaw(piece);
    this.end();
  }

  /** Sends the gateway's own events, which bypass the filters. */
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

  /** Writes the part of the stream gathered in this turn of the event loop. */
  run(): void {
    const out = this.#unsent;
    this.#unsent = "";
    if (out !== "" && !this.#closed) this.#stream().write(out, "latin1");
  }

  /**
   * Where to write after the head. node:http adds nothing to chunks that are already framed, but delays each to the end
   * of the tick. It has no socket yet for an answer that waits for an earlier one on the same connection.
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
    // node:http writes the head and a short string in one piece, but the head and a buffer in two.
    if (Buffer.isBuffer(bytes) && bytes.length <= maxJoinedBytes)
      this.#response.end(bytes.toString("latin1"), "latin1");
    else this.#response.end(bytes);
    // A large body that was refused unread would keep the connection busy, so close it after the answer. node:http
    // reads
    // and discards the rest of a small one, which costs both sides less than a new connection.
    if (!this.#request.complete && !(Number(this.header("content-length") ?? Number.NaN) <= maxDrainedBytes))
      this.#response.once("finish", () => this.#request.destroy());
  }

  /** Destroys the connection: the client reads too slowly, or a drain is over. */
  destroy(): void {
    this.#response.destroy();
  }
}
