/** Calls to upstreams, independent of what is sent. */
import { isIP } from "node:net";
import { addressAllowed, DestinationRefusedError } from "../config/destination.ts";
import { directEgress, type Egress } from "../config/egress/egress.ts";
import { Connections, type Http1Choice } from "./connection-pool.ts";
import { Pacer } from "./pacer.ts";
import type { ResponseHeaders, UpstreamRequest } from "./provider-wire.ts";
import type { UpstreamAddress } from "./upstream-address.ts";
import {
  kindOf,
  type UpstreamCall,
  type UpstreamErrorKind,
  UpstreamExchange,
  type UpstreamHandler,
} from "./upstream-exchange.ts";

export type { ResponseHeaders, UpstreamCall, UpstreamErrorKind, UpstreamHandler, UpstreamRequest };

function keyOf({ origin, allowPrivate, connectMs, writeMs, tls }: UpstreamAddress): string {
  return `${origin}|${allowPrivate}|${connectMs}|${writeMs}|${tls?.serverName ?? ""}|${tls?.client?.id ?? ""}|${tls?.ca ?? ""}`;
}

const noCall: UpstreamCall = { abort: () => undefined, resume: () => undefined, sent: false };

/** Connections by origin. They outlive snapshots, so a config change doesn't make upstreams reconnect. */
export class Upstreams {
  readonly #http1: Http1Choice;
  readonly #egress: Egress;
  readonly #pacer: Pacer;
  readonly #pools = new Map<string, Connections>();
  /** Pool by address object, which the snapshot keeps, so that no call has to build a string key. null: not allowed. */
  #known = new WeakMap<UpstreamAddress, Connections | null>();
  /** For requests whose body is a stream. */
  #streaming: Upstreams | null = null;

  /** `streamPauseMs`: data of a stream that arrives within this time is passed on together. */
  constructor(http1: Http1Choice = "Own", egress: Egress = directEgress, streamPauseMs = 0) {
    this.#http1 = http1;
    this.#egress = egress;
    this.#pacer = new Pacer(streamPauseMs);
  }

  #look(address: UpstreamAddress): Connections | null {
    const cached = this.#known.get(address);
    if (cached !== undefined) return cached;
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
      const exchange = new UpstreamExchange(handler, this.#pacer);
      exchange.begin(this.#connections(address).send(request, exchange));
      return exchange;
    } catch (cause) {
      handler.error(kindOf(cause as Error, false), cause as Error);
      return noCall;
    }
  }
}
