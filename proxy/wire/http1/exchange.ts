/** One request of a client's connection, and its answer. */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { AnswerFields, ClientExchange } from "../client-exchange.ts";
import { asBuffer, framed, lastChunk, maxDrainedBytes, maxJoinedBytes } from "../framing.ts";
import { type Body, GatheredBody, type ReadBounds } from "../gathered-body.ts";
import { TextBytes } from "../text-bytes.ts";
import { afterTick, type Task } from "../tick-batch.ts";
import { addAnswerHead, fieldsByName } from "./fields.ts";
import type { MessageHead } from "./parser.ts";
import { writeJoined } from "./writes.ts";

/** The parts of its connection that an exchange uses. */
interface ExchangeWire {
  readonly socket: Socket;
  /** The last field of a head, so that clients don't reuse a connection that is about to close, and the empty line. */
  readonly headEnd: Buffer;
  /** Whether no request after this one will be answered. */
  isLast(exchange: Http1Exchange): boolean;
  /** Reads on. */
  resume(): void;
  /** The answer's last byte was written. */
  answered(exchange: Http1Exchange): void;
  /** Hands the connection over. Returns false if that is not possible. */
  upgrade(exchange: Http1Exchange, owner: string): boolean;
}

/** unsent: nothing was sent. length: as long as announced. close: until the connection closes. none: no body. */
type AnswerFraming = "unsent" | "length" | "chunked" | "close" | "none";

/** Most bytes of an answer that wait for an earlier one. */
const maxEarlyBytes = 65_536;

const nothing: (string | Buffer)[] = [];

/** The newest head, and the exchange to which it belongs until it is written or another head is built. */
const newestHead = new TextBytes();
let newestOwner: Http1Exchange | null = null;

const chunkedField = Buffer.from("transfer-encoding: chunked\r\n");
const closingEnd = Buffer.from("Connection: close\r\n\r\n");
const continues = /(?:^|\W)100-continue(?:$|\W)/i;

export class Http1Exchange implements ClientExchange, Task {
  /** The request that arrived after it. */
  next: Http1Exchange | null = null;
  readonly #wire: ExchangeWire;
  readonly #head: MessageHead;
  readonly #body = new GatheredBody();
  #stream: Readable | null = null;
  /** Whether the rest of the body is discarded. */
  #discards = false;
  #continued = false;
  #framing: AnswerFraming = "unsent";
  /** The answer's head, and framed chunks of the current turn of the event loop, as Latin-1. */
  #unsent = "";
  #scheduled = false;
  #onGone: (() => void) | null = null;
  #gone = false;
  readonly startedMs: number;
  /** Output from before all earlier requests of the connection were answered; null once it is this one's turn. */
  #early: (string | Buffer)[] | null = nothing;
  #earlyBytes = 0;
  #onDrain: (() => void) | null = null;
  ended = false;
  /** Whether the connection serves the next request after this one. */
  keeps: boolean;

  constructor(wire: ExchangeWire, head: MessageHead, startedMs: number) {
    this.#wire = wire;
    this.#head = head;
    this.startedMs = startedMs;
    this.keeps = head.keepAlive;
  }

  get method(): string {
    return this.#head.method;
  }

  get url(): string {
    return this.#head.url;
  }

  get httpVersion(): string {
    return this.#head.httpVersion;
  }

  get rawHeaders(): readonly string[] {
    return this.#head.rawHeaders;
  }

  get headers(): IncomingHttpHeaders {
    return (this.#head.byName ??= fieldsByName(this.#head.rawHeaders));
  }

  get socket(): Socket {
    return this.#wire.socket;
  }

  get complete(): boolean {
    return this.#body.complete;
  }

  get headSent(): boolean {
    return this.#framing !== "unsent";
  }

  /** Whether the client waits for an expectation to be met, and whether that is the known one. */
  get expectation(): "none" | "100-continue" | "unknown" {
    const { expect } = this.headers;
    if (expect === undefined || this.httpVersion !== "1.1") return "none";
    return continues.test(expect) ? "100-continue" : "unknown";
  }

  /** From the parser: a piece of the body. Returns false to pause reading. */
  take(piece: Buffer): boolean {
    if (this.#discards) return true;
    const room = this.#body.add(piece);
    return this.#stream !== null || room;
  }

  /** From the parser: the request is complete. */
  finish(): void {
    this.#body.end();
  }

  /** Passes on the bytes of a read. Returns false to pause reading. */
  flow(): boolean {
    const stream = this.#stream;
    if (stream === null) return true;
    let room = true;
    for (const piece of this.#body.take()) room = stream.push(piece);
    if (this.#body.complete) stream.push(null);
    return room;
  }

  /** The connection is gone. */
  lose(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#body.lose();
    if (!this.#body.complete) this.#stream?.destroy(new Error("the client went away"));
    if (!this.ended) this.#onGone?.();
  }

  /** All earlier requests were answered. */
  turn(): void {
    const early = this.#early;
    this.#early = null;
    for (const piece of early ?? []) this.#put(piece);
    const drained = this.#onDrain;
    this.#onDrain = null;
    if (this.ended) this.#wire.answered(this);
    else if (drained !== null) this.onDrain(drained);
  }

  /** Writes in turn. Returns false if no more should be written for now. */
  #put(out: string | Buffer): boolean {
    if (this.#early !== null) {
      if (this.#early === nothing) this.#early = [out];
      else this.#early.push(out);
      this.#earlyBytes += out.length;
      return this.#earlyBytes < maxEarlyBytes;
    }
    return typeof out === "string" ? this.#wire.socket.write(out, "latin1") : this.#wire.socket.write(out);
  }

  get #full(): boolean {
    return this.#early === null ? this.#wire.socket.writableNeedDrain : this.#earlyBytes >= maxEarlyBytes;
  }

  onGone(listener: () => void): void {
    this.#onGone = listener;
    if (this.#gone) listener();
  }

  whole(maxBytes: number, bounds: ReadBounds): Body | Promise<Body> {
    const body = this.#body.whole(maxBytes, bounds);
    if (body instanceof Promise) this.#wire.resume();
    return body;
  }

  bodyStream(): Readable {
    const stream = new Readable({ read: () => this.#wire.resume() });
    this.#stream = stream;
    this.flow();
    return stream;
  }

  continue(): void {
    this.#continued = true;
    this.#put("HTTP/1.1 100 Continue\r\n\r\n");
  }

  /**
   * Whether the next request can be read after this one's answer: a large body that was refused unread would keep the
   * connection busy, and a client that didn't get `100 Continue` may or may not send its body.
   */
  #reusable(): boolean {
    if (this.expectation === "100-continue" && !this.#continued) return false;
    return this.#body.complete || Number(this.headers["content-length"] ?? Number.NaN) <= maxDrainedBytes;
  }

  head(status: number, headers: AnswerFields): void {
    const bodied = this.method !== "HEAD" && status !== 204 && status !== 304;
    if (!bodied) this.#framing = "none";
    else if (headers["content-length"] !== undefined) this.#framing = "length";
    else this.#framing = this.httpVersion === "1.1" ? "chunked" : "close";
    if (this.#framing === "close" || headers["connection"] === "close" || this.#wire.isLast(this)) this.keeps = false;
    if (this.keeps && !this.#reusable()) this.keeps = false;
    newestOwner?.keepHead();
    addAnswerHead(newestHead.clear(), status, headers);
    if (this.#framing === "chunked") newestHead.raw(chunkedField);
    newestHead.raw(this.keeps ? this.#wire.headEnd : closingEnd);
    newestOwner = this;
    // Sent with the first part of the body; alone, if a stream has none in this turn.
    if (this.#framing === "chunked" || this.#framing === "close") this.#schedule();
  }

  /** Call before another head is built, or something is added to the same text. */
  keepHead(): void {
    if (newestOwner !== this) return;
    newestOwner = null;
    this.#unsent = newestHead.toString("latin1");
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    afterTick(this);
  }

  write(bytes: Buffer): boolean {
    if (this.#framing === "none" || bytes.length === 0) return true;
    this.keepHead();
    const out =
      this.#framing === "chunked" ? framed(bytes) : bytes.length <= maxJoinedBytes ? bytes.toString("latin1") : bytes;
    if (typeof out === "string") {
      this.#unsent += out;
      if (this.#unsent.length < maxJoinedBytes) this.#schedule();
      else this.run();
      return !this.#full;
    }
    this.run();
    return this.#put(out);
  }

  /** Writes the gathered output, and a whole answer's body, in one piece. */
  #writeLast(bytes: Buffer): void {
    if (this.#framing !== "length" || this.#early !== null || newestOwner !== this) {
      this.write(bytes);
      return;
    }
    newestOwner = null;
    writeJoined(this.#wire.socket, newestHead, bytes);
  }

  /** Writes the output gathered in this turn of the event loop. */
  run(): void {
    this.keepHead();
    const out = this.#unsent;
    this.#scheduled = false;
    this.#unsent = "";
    if (out !== "" && !this.#gone) this.#put(out);
  }

  onDrain(listener: () => void): void {
    const { socket } = this.#wire;
    if (this.#early !== null) this.#onDrain = listener;
    else if (socket.writableNeedDrain) socket.once("drain", listener);
    else listener();
  }

  end(bytes?: Uint8Array | string): void {
    if (this.#gone) return;
    if (bytes !== undefined && bytes.length > 0) this.#writeLast(asBuffer(bytes));
    this.keepHead();
    if (this.#framing === "chunked") this.#unsent += lastChunk;
    this.run();
    this.ended = true;
    this.#discards = true;
    this.#body.take();
    if (this.#early === null) this.#wire.answered(this);
  }

  upgrade(owner: string): boolean {
    if (this.#gone || this.headSent || this.ended || !this.complete) return false;
    return this.#wire.upgrade(this, owner);
  }

  destroy(): void {
    this.#wire.socket.destroy();
  }
}
