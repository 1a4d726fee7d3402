/** The WebSockets of a proxy: takes over connections that ask for one, and looks after them. */
import { Buffer } from "node:buffer";
import { type WebSocket, WebSocketServer } from "ws";
import { BodyPlace, type BodyRoom } from "../call/body-room.ts";
import { type Failure, failure } from "../failure.ts";
import type { ClientExchange } from "../wire/client-exchange.ts";
import { paceMs } from "../wire/gathered-body.ts";
import { IndexedSet } from "../wire/indexed-set.ts";
import { Chains } from "./chains.ts";
import { ResponsesSocket, type SocketTimes } from "./connection.ts";
import { EventRoom } from "./event-room.ts";

export interface WebSocketOptions extends SocketTimes {
  maxConnections: number;
  /** What all connections together may remember of earlier turns, in bytes. */
  maxRememberedBytes: number;
  /** Has the events that arrive and wait, like request bodies. */
  bodies: BodyRoom;
  /** The slowest that an event may arrive; 0 for any. */
  minBytesPerSecond: number;
}

export interface OpenedFor {
  /** Whose connection it is. */
  owner: string;
  /** The largest event. */
  maxMessageBytes: number;
  /** Serves each response. */
  handle(response: ClientExchange): void;
  closing(): boolean;
}

const lookMs = 1_000;
/** Looks at how fast events arrive are as far apart as those at request bodies. */
const looksPerPace = paceMs / lookMs;
const full = failure("overloaded", "The gateway has no room for another WebSocket. Try again in a moment.", {
  retryAfterMs: 1_000,
});
const none = Buffer.alloc(0);

export class WebSockets {
  readonly #options: WebSocketOptions;
  readonly #chains: Chains;
  readonly #open = new IndexedSet<ResponsesSocket>();
  #looking: NodeJS.Timeout | null = null;

  constructor(options: WebSocketOptions) {
    this.#options = options;
    this.#chains = new Chains(options.maxRememberedBytes);
  }

  /** Why the owner can't open another connection; null if it can. */
  refusal(owner: string): Failure | null {
    if (this.#open.size < this.#options.maxConnections || this.#makeRoom(owner)) {
      const place = this.#options.bodies.place(owner, 0, Infinity);
      if (!(place instanceof BodyPlace)) return place;
      place.release();
      return null;
    }
    return full;
  }

  /** Where all places are taken, an owner with fewer connections gets an idle one of the owner with the most. */
  #makeRoom(owner: string): boolean {
    const counts = new Map<string, number>();
    for (const { owner: holder } of this.#open) counts.set(holder, (counts.get(holder) ?? 0) + 1);
    const own = counts.get(owner) ?? 0;
    let [most, holder] = [own + 1, ""];
    for (const [name, count] of counts) if (count > most) [most, holder] = [count, name];
    if (holder === "") return false;
    let idlest: ResponsesSocket | null = null;
    for (const socket of this.#open)
      if (socket.owner === holder && socket.isIdle && (idlest === null || socket.usedMs < idlest.usedMs))
        idlest = socket;
    idlest?.displace();
    return idlest !== null;
  }

  get size(): number {
    return this.#open.size;
  }

  open(exchange: ClientExchange, { owner, maxMessageBytes, handle, closing }: OpenedFor): void {
    const server = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false, autoPong: false },
      maxPayload: maxMessageBytes,
    });
    const { socket, url, rawHeaders } = exchange;
    const { bodies, minBytesPerSecond } = this.#options;
    const place = bodies.place(owner, 0, Infinity);
    if (!(place instanceof BodyPlace)) {
      socket.destroy();
      return;
    }
    const room = new EventRoom(place, (minBytesPerSecond * paceMs) / 1_000);
    server.handleUpgrade(exchange, socket, none, (ws: WebSocket) => {
      const parts = {
        owner,
        url,
        rawHeaders,
        socket,
        room,
        chains: this.#chains,
        times: this.#options,
        handle,
        closing,
      };
      const opened = new ResponsesSocket(ws, parts, performance.now());
      this.#open.add(opened);
      opened.onClose(() => this.#open.delete(opened));
      this.#watch();
    });
  }

  #watch(): void {
    let looks = 0;
    this.#looking ??= setInterval(() => {
      const nowMs = performance.now();
      const atPace = ++looks % looksPerPace === 0;
      for (const socket of this.#open) if (socket.place >= 0) socket.look(nowMs, atPace);
      if (this.#open.size > 0 || this.#looking === null) return;
      clearInterval(this.#looking);
      this.#looking = null;
    }, lookMs).unref();
  }
}
