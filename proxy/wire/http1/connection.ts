/**
 * A client's connection. Requests are handed on as they arrive; answers are sent in the same order.
 *
 *   read ──▶ parse ──▶ queue of exchanges ──▶ handle ──▶ the first may write ──▶ answered ──▶ the next one's turn
 *
 * While bytes are parsed nothing is written and nothing is handled: the parser reads a buffer that all sockets share.
 */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { ExchangeHandler, ServerTimes, WireFault } from "../client-exchange.ts";
import type { IndexedMember } from "../indexed-set.ts";
import { Http1Exchange } from "./exchange.ts";
import { type MessageHead, MessageParser, type MessageSink } from "./parser.ts";
import { readAccepted } from "./reads.ts";

/** Requests that may wait for their turn while the connection is read on, so that a disconnect is noticed. */
const mostQueued = 8;

/** How much is read, and for how long, after the last answer: a client that still sends would miss the answer. */
const mostLingeringBytes = 262_144;
const lingeringMs = 2_000;

/** idle: between requests. head: a request has begun. busy: one is being received or answered. closing: no more. */
type Phase = "idle" | "head" | "busy" | "closing";

export class ClientWire implements MessageSink, IndexedMember {
  place = -1;
  readonly socket: Socket;
  readonly keepAliveField: string;
  readonly #handler: ExchangeHandler;
  readonly #times: ServerTimes;
  readonly #parser: MessageParser;
  /** In order of arrival; the first is being answered. */
  readonly #queue: Http1Exchange[] = [];
  /** Those of the queue that were not handed on yet. */
  readonly #unbegun: Http1Exchange[] = [];
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
  /** Whether the body that is arriving has no room. */
  #full = false;
  /** No request is read after those in the queue: what follows may not be HTTP. */
  #last = false;
  #lingeringBytes = 0;

  constructor(socket: Socket, handler: ExchangeHandler, times: ServerTimes) {
    this.socket = socket;
    this.#handler = handler;
    this.#times = times;
    this.#sinceMs = this.#nowMs = performance.now();
    this.keepAliveField = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(times.keepAliveMs / 1000)}\r\n`;
    this.#parser = new MessageParser("request", this, times.maxHeaderBytes);
    socket.on("error", () => undefined);
    readAccepted(socket, (bytes) => this.#read(bytes));
  }

  head(head: MessageHead): boolean {
    const exchange = new Http1Exchange(this, head, this.#nowMs);
    if (head.method === "CONNECT") this.#last = true;
    this.#receiving = exchange;
    this.#queue.push(exchange);
    this.#unbegun.push(exchange);
    return true;
  }

  body(piece: Buffer): void {
    if (this.#receiving?.take(piece) === false) this.#full = true;
  }

  complete(): void {
    const exchange = this.#receiving;
    this.#receiving = null;
    exchange?.finish();
    // It was answered before it had arrived.
    if (exchange?.ended && exchange === this.#queue[0]) this.#queue.shift();
    else this.#completed = exchange;
  }

  #read(bytes: Buffer): boolean {
    if (this.#phase === "closing" || this.#last) return this.#discard(bytes.length);
    this.#nowMs = performance.now();
    if (this.#phase === "idle") this.#enter("head");
    const result = this.#parser.read(bytes);
    if (typeof result === "string") {
      this.#refuse(result);
      return true;
    }
    if (result !== null) this.#last = true;
    if (this.#queue.length > 0) this.#phase = "busy";
    else if (this.#phase === "busy") this.#enter("idle");
    this.#completed?.flow();
    this.#completed = null;
    if (this.#receiving?.flow() === false) this.#full = true;
    this.#advance();
    this.#paused = this.#full || this.#queue.length > mostQueued;
    return !this.#paused;
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#sinceMs = this.#nowMs;
  }

  #discard(bytes: number): boolean {
    this.#lingeringBytes += bytes;
    if (this.#lingeringBytes > mostLingeringBytes) this.socket.destroy();
    return true;
  }

  /** Hands on what has arrived, unless the client is behind with reading answers. */
  #advance(): void {
    if (this.#drains) return;
    for (let next = this.#unbegun.shift(); next !== undefined; next = this.#unbegun.shift()) {
      if (next === this.#queue[0]) next.turn();
      this.#begin(next);
      if (!this.socket.writableNeedDrain || this.#unbegun.length === 0) continue;
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
    return this.#last && this.#queue.at(-1) === exchange;
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
    this.#queue.shift();
    const next = this.#queue[0];
    if (next === undefined) {
      this.#nowMs = performance.now();
      this.#enter("idle");
    } else next.turn();
  }

  /** Closes after what was written. `clean`: the client is not sending, so nothing is lost if reading stops. */
  #close(clean: boolean): void {
    this.#nowMs = performance.now();
    this.#enter("closing");
    this.#unbegun.length = 0;
    if (clean) this.socket.destroySoon();
    else this.socket.end();
    this.resume();
  }

  /** Answers what is not a request, or was too slow. */
  #refuse(fault: WireFault): void {
    const current = this.#queue[0];
    if (current?.headSent) {
      this.socket.destroy();
      return;
    }
    this.socket.write(this.#handler.refusal(fault), "latin1");
    this.#close(false);
    this.#lose();
  }

  #lose(): void {
    const exchanges = this.#queue.splice(0);
    this.#unbegun.length = 0;
    this.#receiving = null;
    for (const exchange of exchanges) exchange.lose();
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
    this.#parser.close();
    this.#lose();
  }
}
