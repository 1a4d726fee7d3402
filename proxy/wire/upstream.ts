/** Calls to upstreams, independent of what is sent. */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { addressAllowed, DestinationRefusedError } from "../config/destination.ts";
import { directEgress, type Egress } from "../config/egress/egress.ts";
import { causeOf, isOfConnecting, type UpstreamCause } from "./causes.ts";
import { Connections, type Http1Choice } from "./connection-pool.ts";
import { encodingsOf, Inflater } from "./inflate.ts";
import type { ResponseHeaders, UpstreamRequest, WireCall, WireHandler } from "./provider-wire.ts";
import { atEndOfTick, type Task } from "./tick-batch.ts";
import type { UpstreamAddress } from "./upstream-address.ts";

export type { ResponseHeaders, UpstreamRequest };

/**
 * connect: no connection (refused, DNS, TLS). writeTimeout: it stopped reading the request. reset: broke after
 * connecting. aborted: by the gateway. undecodable: compressed in a form that can't be inflated.
 */
export type UpstreamErrorKind =
  | "connect"
  | "connectTimeout"
  | "writeTimeout"
  | "reset"
  | "aborted"
  | "refused"
  | "undecodable";

export interface UpstreamHandler {
  head(status: number, headers: ResponseHeaders): void;
  /** Returns false to pause reading until `resume`. */
  data(chunk: Buffer): boolean;
  end(): void;
  error(kind: UpstreamErrorKind, cause: Error): void;
}

export interface UpstreamCall {
  abort(): void;
  resume(): void;
  /** Whether all of the request was handed to a connection, so that the upstream may act on it and charge for it. */
  readonly sent: boolean;
}

function keyOf({ origin, allowPrivate, connectMs, writeMs, tls }: UpstreamAddress): string {
  return `${origin}|${allowPrivate}|${connectMs}|${writeMs}|${tls?.serverName ?? ""}|${tls?.client?.id ?? ""}|${tls?.ca ?? ""}`;
}

const kinds: Partial<Record<UpstreamCause, UpstreamErrorKind>> = {
  address_not_allowed: "refused",
  connect_timeout: "connectTimeout",
  write_timeout: "writeTimeout",
};

function kindOf(error: Error, started: boolean): UpstreamErrorKind {
  const cause = causeOf(error, started);
  return kinds[cause] ?? (isOfConnecting(cause) ? "connect" : "reset");
}

/**
 * Largest size, in bytes, up to which pieces are joined. Reading pauses as soon as this much has arrived and was not yet
 * passed on: one turn of the event loop may read megabytes of a fast upstream, and a slow client would keep them.
 */
const maxJoinedBytes = 65_536;

const noCall: UpstreamCall = { abort: () => undefined, resume: () => undefined, sent: false };

/** Connections by origin. They outlive snapshots, so a config change doesn't make upstreams reconnect. */
export class Upstreams {
  readonly #http1: Http1Choice;
  readonly #egress: Egress;
  readonly #pools = new Map<string, Connections>();
  /** Pool by address object, which the snapshot keeps, so that no call has to build a string key. null: not allowed. */
  #known = new WeakMap<UpstreamAddress, Connections | null>();
  /** For requests whose body is a stream. */
  #streaming: Upstreams | null = null;

  constructor(http1: Http1Choice = "Own", egress: Egress = directEgress) {
    this.#http1 = http1;
    this.#egress = egress;
  }

  #look(address: UpstreamAddress): Connections | null {
    const found = this.#known.get(address);
    if (found !== undefined) return found;
    const host = new URL(address.origin).hostname.replace(/^\[|\]$/g, "");
    const refused = isIP(host) !== 0 && !addressAllowed(host, address.allowPrivate);
    const pool = refused ? null : this.#pool(address);
    this.#known.set(address, pool);
    return pool;
  }

  /** Throws if the address is not allowed, or can't be called, such as one with another scheme. */
  #connections(address: UpstreamAddress): Connections {
    const pool = this.#look(address);
    if (pool === null) throw new DestinationRefusedError(`${address.origin} is not allowed as a destination`);
    return pool;
  }

  #pool(address: UpstreamAddress): Connections {
    const key = keyOf(address);
    let pool = this.#pools.get(key);
    if (pool) return pool;
    pool = new Connections(address, this.#http1, this.#egress);
    this.#pools.set(key, pool);
    return pool;
  }

  /** Closes the pools of origins that are no longer used. Requests in flight finish. */
  keep(addresses: readonly UpstreamAddress[]): void {
    const wanted = new Set(addresses.map(keyOf));
    this.#known = new WeakMap();
    for (const [key, pool] of this.#pools) {
      if (wanted.has(key)) continue;
      this.#pools.delete(key);
      pool.close();
    }
    this.#streaming?.keep(addresses);
  }

  close(): void {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    this.#known = new WeakMap();
    for (const pool of pools) pool.destroy();
    this.#streaming?.close();
  }

  /** Never throws: if the call can't begin, the handler's error callback runs before this returns. */
  send(address: UpstreamAddress, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall {
    const { body } = request;
    if (this.#http1 === "Own" && body !== null && typeof body !== "string" && !(body instanceof Uint8Array)) {
      this.#streaming ??= new Upstreams("Node", this.#egress);
      return this.#streaming.send(address, request, handler);
    }
    // Compression costs both sides time and saves little on a provider's connection.
    request.headers["accept-encoding"] ??= "identity";
    try {
      const exchange = new Exchange(handler);
      exchange.begin(this.#connections(address).send(request, exchange));
      return exchange;
    } catch (cause) {
      handler.error(kindOf(cause as Error, false), cause as Error);
      return noCall;
    }
  }
}

const ended = "ended";
const noPieces: Buffer[] = [];

/** What arrives in a turn of the event loop is passed on at its end: the head, then data, then the end. */
class Exchange implements WireHandler, UpstreamCall, Task {
  readonly #handler: UpstreamHandler;
  #call: WireCall | null = null;
  #scheduled = false;
  /** 0 if no head has arrived in this turn. */
  #status = 0;
  #headers: ResponseHeaders = {};
  #pieces = noPieces;
  /** Bytes of `#pieces`. */
  #arrivedBytes = 0;
  #last: typeof ended | Error | null = null;
  /** Why reading is paused: too much has arrived in this turn, or the handler wants no more for now. */
  #full = false;
  #stopped = false;
  #over = false;
  #started = false;
  sent = false;
  /** Decoder of a compressed answer. */
  #inflater: Inflater | null = null;

  constructor(handler: UpstreamHandler) {
    this.#handler = handler;
  }

  begin(call: WireCall): void {
    this.#call = call;
  }

  abort(): void {
    this.#inflater?.destroy();
    if (this.#over) return;
    this.#over = true;
    this.#pieces = noPieces;
    this.#call?.abort();
  }

  resume(): void {
    this.#inflater?.resume();
    this.#goOn();
  }

  #goOn(): void {
    this.#stopped = false;
    if (!this.#over && !this.#full) this.#call?.resume();
  }

  #arrive(): void {
    if (this.#scheduled || this.#over) return;
    this.#scheduled = true;
    atEndOfTick(this);
  }

  run(): void {
    this.#scheduled = false;
    const pieces = this.#pieces;
    const bytes = this.#arrivedBytes;
    this.#pieces = noPieces;
    this.#arrivedBytes = 0;
    try {
      if (!this.#over && this.#status > 0) this.#begin();
      if (!this.#over && bytes > 0) this.#hand(pieces, bytes);
      if (!this.#over && this.#last !== null) this.#finish(this.#last);
      if (!this.#full) return;
      this.#full = false;
      if (!this.#over && !this.#stopped) this.#call?.resume();
    } catch (cause) {
      this.abort();
      this.#handler.error("reset", cause as Error);
    }
  }

  #begin(): void {
    const status = this.#status;
    this.#status = 0;
    this.#started = true;
    this.#head(status, this.#headers);
  }

  /** In one piece up to `maxJoinedBytes`, so that what one read brought of a stream is parsed and written once. */
  #hand(pieces: readonly Buffer[], bytes: number): void {
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) this.#take(only);
    else if (bytes <= maxJoinedBytes) this.#take(Buffer.concat(pieces, bytes));
    else for (let at = 0; at < pieces.length && !this.#over; at++) this.#take(pieces[at] as Buffer);
  }

  #take(chunk: Buffer): void {
    if (!this.#give(chunk)) this.#stop();
  }

  #finish(last: typeof ended | Error): void {
    this.#over = true;
    if (last === ended) {
      this.#end();
      return;
    }
    this.#inflater?.destroy();
    this.#handler.error(kindOf(last, this.#started), last);
  }

  #head(status: number, headers: ResponseHeaders): void {
    const encodings = encodingsOf(headers["content-encoding"]);
    if (encodings.length === 0) {
      this.#handler.head(status, headers);
      return;
    }
    this.#inflater = new Inflater(encodings, {
      data: (chunk) => this.#handler.data(chunk),
      end: () => this.#handler.end(),
      failed: (cause) => {
        this.#handler.error("undecodable", cause);
        this.abort();
      },
    });
    const { "content-encoding": _encoding, "content-length": _length, ...rest } = headers;
    this.#handler.head(status, rest);
  }

  #stop(): void {
    this.#stopped = true;
    this.#call?.pause();
  }

  #give(chunk: Buffer): boolean {
    if (this.#inflater === null) return this.#handler.data(chunk);
    return this.#inflater.write(chunk, () => this.#goOn());
  }

  #end(): void {
    if (this.#inflater === null) this.#handler.end();
    else this.#inflater.end();
  }

  requestSent(): void {
    this.sent = true;
  }

  head(status: number, headers: ResponseHeaders): void {
    this.#status = status;
    this.#headers = headers;
    this.#arrive();
  }

  data(chunk: Buffer): void {
    if (this.#over) return;
    this.#arrivedBytes += chunk.length;
    if (this.#arrivedBytes >= maxJoinedBytes && !this.#full) {
      this.#full = true;
      this.#call?.pause();
    }
    if (this.#pieces.length === 0) this.#pieces = [chunk];
    else this.#pieces.push(chunk);
    this.#arrive();
  }

  end(): void {
    this.#last = ended;
    this.#arrive();
  }

  failed(error: Error): void {
    this.#last = error;
    this.#arrive();
  }
}
