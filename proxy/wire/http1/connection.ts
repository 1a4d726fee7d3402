/**
 * A client's connection. Requests are handed on as they arrive; answers are sent in the same order.
 *
 *   read ──▶ parse ──▶ queue of exchanges ──▶ handle ──▶ the first may write ──▶ answered ──▶ the next one's turn
 *
 * While bytes are parsed nothing is written and nothing is handled: the parser reads a buffer that all sockets share.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { ExchangeHandler, ServerTimes, WireFault } from "../client-exchange.ts";
import type { IndexedMember } from "../indexed-set.ts";
import { Http1Exchange } from "./exchange.ts";
import type { MessageHead, MessageSink } from "./parser.ts";
import { readAccepted, releaseReads } from "./reads.ts";
import { RequestReader } from "./request-reader.ts";

/** Requests that may wait for their turn while the connection is read on, so that a disconnect is noticed. */
const maxQueued = 8;

/**
 * How much is read, and for how long, after the last answer: a client that is still sending would otherwise miss it.
 */
const maxLingeringBytes = 262_144;
const lingeringMs = 2_000;

const headEnds = new Map<number, Buffer>();

function headEndOf(keepAliveMs: number): Buffer {
  const seconds = Math.floor(keepAliveMs / 1000);
  let end = headEnds.get(seconds);
  if (end === undefined) {
    end = Buffer.from(`Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n\r\n`);
    headEnds.set(seconds, end);
  }
  return end;
}

/**
 * idle: between requests. head: a request has begun. busy: one is being received or answered. closing: no more. upgraded:
 * another protocol has the socket.
 */
type Phase = "idle" | "head" | "busy" | "closing" | "upgraded";

/** A WebSocket handshake (RFC 6455, section 4.1). Requests for other protocols are served as if they asked for none. */
function asksForSocket({ upgrade, method, rawHeaders }: MessageHead): boolean {
  if (!upgrade || method !== "GET") return false;
  const offset = rawHeaders.findIndex((field, index) => index % 2 === 0 && field.toLowerCase() === "upgrade");
  return offset >= 0 && rawHeaders[offset + 1]?.trim().toLowerCase() === "websocket";
}

export class ClientWire implements MessageSink, IndexedMember {
  place = -1;
  readonly socket: Socket;
  readonly headEnd: Buffer;
  readonly #handler: ExchangeHandler;
  readonly #times: ServerTimes;
  readonly #requests: RequestReader;
  /** In order of arrival; the first is being answered. */
  #first: Http1Exchange | null = null;
  #newest: Http1Exchange | null = null;
  #queued = 0;
  /** The first exchange that was not handed on yet. */
  #unbegun: Http1Exchange | null = null;
  /** Whether requests wait until the client has read answers. */
  #drains = false;
  /** The request whose body is arriving. */
  #receiving: Http1Exchange | null = null;
  /** The request that the last read completed. */
  #completed: Http1Exchange | null = null;
  // A new connection owes a request.
  #phase: Phase = "head";
  #sinceMs: number;
  #nowMs: number;
  #paused = false;
  /** Whether there is no room for the body that is arriving. */
  #full = false;
  /** No request is read after those in the queue: what follows may not be HTTP. */
  #last = false;
  #lingeringBytes = 0;

  constructor(socket: Socket, handler: ExchangeHandler, times: ServerTimes) {
    this.socket = socket;
    this.#handler = handler;
    this.#times = times;
    this.#sinceMs = this.#nowMs = performance.now();
    this.headEnd = headEndOf(times.keepAliveMs);
    this.#requests = new RequestReader(this, times.maxHeaderBytes);
    socket.on("error", () => undefined);
    readAccepted(socket, (bytes) => this.#read(bytes));
  }

  head(head: MessageHead): boolean | "other" {
    const exchange = new Http1Exchange(this, head, this.#nowMs);
    const isForSocket = this.#handler.upgraded !== undefined && asksForSocket(head);
    if (head.method === "CONNECT" || isForSocket) this.#last = true;
    this.#receiving = exchange;
    this.#add(exchange);
    return isForSocket ? "other" : true;
  }

  /**
   * A list linked through its members: an array that is usually empty would allocate its storage again for each
   * request.
   */
  #add(exchange: Http1Exchange): void {
    if (this.#newest === null) this.#first = exchange;
    else this.#newest.next = exchange;
    this.#newest = exchange;
    this.#unbegun ??= exchange;
    this.#queued++;
  }

  #removeFirst(): void {
    const first = this.#first;
    if (first === null) return;
    this.#first = first.next;
    if (this.#first === null) this.#newest = null;
    this.#queued--;
    // A reference to one request should not keep later ones in memory.
    first.next = null;
  }

  body(piece: Buffer): void {
    if (this.#receiving?.take(piece) === false) this.#full = true;
  }

  complete(): void {
    const exchange = this.#receiving;
    this.#receiving = null;
    exchange?.finish();
    // It was answered before it had arrived.
    if (exchange?.ended && exchange === this.#first) this.#removeFirst();
    else this.#completed = exchange;
  }

  #read(bytes: Buffer): boolean {
    if (this.#phase === "upgraded") return true;
    if (this.#phase === "closing" || this.#last) return this.#discard(bytes.length);
    this.#nowMs = performance.now();
    if (this.#phase === "idle") this.#enter("head");
    const result = this.#requests.read(bytes);
    if (typeof result === "string") {
      this.#refuse(result);
      return true;
    }
    if (result !== null) this.#last = true;
    if (this.#queued > 0) this.#phase = "busy";
    else if (this.#phase === "busy") this.#enter("idle");
    this.#completed?.flow();
    this.#completed = null;
    if (this.#receiving?.flow() === false) this.#full = true;
    this.#advance();
    this.#paused = this.#full || this.#queued > maxQueued;
    return !this.#paused;
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#sinceMs = this.#nowMs;
  }

  #discard(bytes: number): boolean {
    this.#lingeringBytes += bytes;
    if (this.#lingeringBytes > maxLingeringBytes) this.socket.destroy();
    return true;
  }

  /** Hands on what has arrived, unless the client is behind with reading answers. */
  #advance(): void {
    if (this.#drains) return;
    for (let next = this.#unbegun; next !== null; next = this.#unbegun) {
      this.#unbegun = next.next;
      if (next === this.#first) next.turn();
      this.#begin(next);
      if (!this.socket.writableNeedDrain || this.#unbegun === null) continue;
      this.#drains = true;
      this.socket.once("drain", () => {
        this.#drains = false;
        this.#advance();
      });
      return;
    }
  }

  #begin(exchange: Http1Exchange): void {
    if (exchange.method === "CONNECT") this.socket.destroy();
    else if (exchange.expectation === "unknown") {
      exchange.head(417, { "content-length": 0 });
      exchange.end();
    } else this.#handler.handle(exchange);
  }

  isLast(exchange: Http1Exchange): boolean {
    return this.#last && this.#newest === exchange;
  }

  resume(): void {
    this.#full = false;
    if (!this.#paused) return;
    this.#paused = false;
    this.socket.resume();
  }

  answered(exchange: Http1Exchange): void {
    if (!exchange.keeps) {
      this.#close(exchange.complete);
      return;
    }
    this.resume();
    // The rest of a refused body is read and dropped.
    if (!exchange.complete) return;
    this.#removeFirst();
    if (this.#first === null) {
      this.#nowMs = performance.now();
      this.#enter("idle");
    } else this.#first.turn();
  }

  upgrade(exchange: Http1Exchange, owner: string): boolean {
    const { upgraded } = this.#handler;
    const isOnly = this.#queued === 1 && this.#first === exchange && this.#last;
    if (upgraded === undefined || !isOnly || this.#phase === "closing") return false;
    this.#removeFirst();
    this.#phase = "upgraded";
    exchange.ended = true;
    releaseReads(this.socket);
    upgraded(exchange, owner);
    this.socket.resume();
    return true;
  }

  /**
   * Closes once everything written was sent. `clean`: the client is not sending, so nothing is lost if reading stops.
   */
  #close(clean: boolean): void {
    this.#nowMs = performance.now();
    this.#enter("closing");
    this.#unbegun = null;
    if (clean) this.socket.destroySoon();
    else this.socket.end();
    this.resume();
  }

  /** Answers input that isn't a valid request, or a request that is too slow. */
  #refuse(fault: WireFault): void {
    if (this.#first?.headSent) {
      this.socket.destroy();
      return;
    }
    this.socket.write(this.#handler.refusal(fault), "latin1");
    this.#close(false);
    this.#lose();
  }

  #lose(): void {
    let lost = this.#first;
    this.#first = null;
    this.#newest = null;
    this.#unbegun = null;
    this.#queued = 0;
    this.#receiving = null;
    for (; lost !== null; lost = lost.next) lost.lose();
  }

  /** Call it regularly: enforces the time limits. */
  look(nowMs: number): void {
    this.#nowMs = nowMs;
    const { headersMs, keepAliveMs, requestMs } = this.#times;
    const forMs = nowMs - this.#sinceMs;
    if (this.#phase === "head") {
      if (forMs > headersMs) this.#refuse("timeout");
    } else if (this.#phase === "idle") {
      if (forMs > keepAliveMs) this.socket.destroy();
    } else if (this.#phase === "closing") {
      if (forMs > lingeringMs) this.socket.destroy();
    } else if (this.#receiving !== null && nowMs - this.#receiving.startedMs > requestMs) this.#refuse("timeout");
  }

  /** The socket has closed. */
  closed(): void {
    this.#phase = "closing";
    this.#requests.close();
    this.#lose();
  }
}
