/** The WebSockets of a proxy: takes over connections that ask for one, and looks after them. */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import type { ClientExchange } from "../wire/client-exchange.ts";
import { IndexedSet } from "../wire/indexed-set.ts";
import { Chains } from "./chains.ts";
import { ResponsesSocket, type SocketTimes } from "./connection.ts";

export interface WebSocketOptions extends SocketTimes {
  maxConnections: number;
  /** What all connections together may remember of earlier turns, in bytes. */
  maxRememberedBytes: number;
}

const lookMs = 1_000;
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

  get hasRoom(): boolean {
    return this.#open.size < this.#options.maxConnections;
  }

  get size(): number {
    return this.#open.size;
  }

  /** `maxMessageBytes`: the largest event. `handle` serves each response. */
  open(
    exchange: ClientExchange,
    socket: Socket,
    maxMessageBytes: number,
    handle: (response: ClientExchange) => void,
    closing: () => boolean,
  ): void {
    const server = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false, autoPong: false },
      maxPayload: maxMessageBytes,
    });
    server.handleUpgrade(exchange, socket, none, (ws: WebSocket) => {
      const { url, rawHeaders } = exchange;
      const parts = { url, rawHeaders, socket, chains: this.#chains, times: this.#options, handle, closing };
      const opened = new ResponsesSocket(ws, parts, performance.now());
      this.#open.add(opened);
      opened.onClose(() => this.#open.delete(opened));
      this.#watch();
    });
  }

  #watch(): void {
    this.#looking ??= setInterval(() => {
      const nowMs = performance.now();
      for (const socket of this.#open) if (socket.place >= 0) socket.look(nowMs);
      if (this.#open.size > 0 || this.#looking === null) return;
      clearInterval(this.#looking);
      this.#looking = null;
    }, lookMs).unref();
  }
}
