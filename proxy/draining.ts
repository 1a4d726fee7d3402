/**
 * How a proxy stops. Readiness drops at once, and every answer tells its client to connect anew. For a while it goes on
 * serving, so that connections which are kept alive get that word before they are closed. Then nothing new is accepted,
 * requests that come all the same are told to try again, and calls under way have what is left of the drain time.
 *
 *   SIGTERM ──delay──▶ refuse ──────────▶ drain time over ──▶ closed
 *   serves, "close"    idle ones close    the rest is cut with an error event
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { refuse } from "./refuse.ts";
import type { TrafficState } from "./server.ts";

export interface DrainTimes {
  /** From the beginning to the end of calls under way. */
  drainMs: number;
  /** Of it, how long requests are still served; at most half. */
  delayMs: number;
  /** Clients are many and unknown, so the whole delay is waited for while anybody is connected. Else: until all are idle. */
  patient: boolean;
}

/** How long a connection without a call may go on sending its request while we drain. */
const strayMs = 500;
/** A connection that was in use a moment ago may be about to send its next request. */
const idleMs = { patient: 1_000, hasty: 250 };
/** Nobody is connected for this long: there is nobody to wait for. */
const lonelyMs = { patient: 500, hasty: 0 };
const lookMs = 25;

/** Connections of clients, and since when each has had no call. */
class Connected {
  readonly #sockets = new Set<Socket>();
  readonly #idleSince = new Map<Socket, number>();

  constructor(server: Server, secure: boolean) {
    server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        this.#idleSince.delete(socket);
      });
    });
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** To be called again and again: what is idle now. */
  look({ active }: TrafficState, nowMs: number): void {
    const busy = new Set([...active].map((client) => client.socket));
    for (const socket of this.#sockets) {
      if (busy.has(socket) || socket.writableLength > 0) this.#idleSince.delete(socket);
      else if (!this.#idleSince.has(socket)) this.#idleSince.set(socket, nowMs);
    }
  }

  /** Those without a call for so long. */
  idle(forMs: number, nowMs: number): Socket[] {
    return [...this.#idleSince].filter(([, sinceMs]) => nowMs - sinceMs >= forMs).map(([socket]) => socket);
  }
}

export class Drain {
  readonly #server: Server;
  readonly #state: TrafficState;
  readonly #connected: Connected;

  /** To be made before the listener accepts anybody. */
  constructor(server: Server, state: TrafficState, secure: boolean) {
    this.#server = server;
    this.#state = state;
    this.#connected = new Connected(server, secure);
  }

  async run({ drainMs, delayMs, patient }: DrainTimes): Promise<void> {
    const state = this.#state;
    const manner = patient ? "patient" : "hasty";
    const began = performance.now();
    state.draining = true;
    const deadline = setTimeout(() => this.#interrupt(), drainMs);
    await this.#announce(began + Math.min(delayMs, drainMs / 2), manner);
    state.refusing = true;
    await this.#close(began + drainMs + 1_000, manner);
    clearTimeout(deadline);
  }

  #announce(untilMs: number, manner: keyof typeof idleMs): Promise<void> {
    return new Promise((resolve) => {
      let connectedMs = performance.now();
      const isOver = (nowMs: number): boolean => {
        const { size } = this.#connected;
        if (size > 0) connectedMs = nowMs;
        this.#connected.look(this.#state, nowMs);
        if (nowMs >= untilMs || nowMs - connectedMs > lonelyMs[manner]) return true;
        return manner === "hasty" && this.#connected.idle(idleMs.hasty, nowMs).length === size;
      };
      const look = setInterval(() => {
        if (!isOver(performance.now())) return;
        clearInterval(look);
        resolve();
      }, lookMs);
    });
  }

  /** Connections that were just in use have a moment, in which the next request is told to go elsewhere. */
  async #close(endMs: number, manner: keyof typeof idleMs): Promise<void> {
    const server = this.#server;
    // node:http closes all idle connections as it stops listening, under requests that are on their way.
    server.closeIdleConnections = () => undefined;
    let quietSince = performance.now();
    const tidy = (): void => {
      const nowMs = performance.now();
      if (this.#state.active.size > 0) quietSince = nowMs;
      this.#connected.look(this.#state, nowMs);
      for (const socket of this.#connected.idle(idleMs[manner], nowMs)) socket.destroy();
      if (nowMs - quietSince >= idleMs[manner] + strayMs || nowMs >= endMs) server.closeAllConnections();
    };
    tidy();
    const look = setInterval(tidy, lookMs);
    await new Promise((resolve) => server.close(resolve));
    clearInterval(look);
  }

  #interrupt(): void {
    for (const client of this.#state.active) {
      if (client.interrupt()) continue;
      if (client.started) client.destroy();
      else refuse(client, "draining");
    }
  }
}
