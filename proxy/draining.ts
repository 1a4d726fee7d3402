/**
 * How a proxy stops. Readiness drops at once, and every answer tells its client to reconnect. The proxy continues to
 * serve for a while, so that kept-alive connections learn this before they are closed. Then it accepts no new
 * connections, tells further requests to try again, and gives calls under way the rest of the drain time.
 *
 *   SIGTERM ──delay──▶ refuse ──────────▶ drain time over ──▶ closed
 *   serves, "close"    idle ones close    the rest is cut with an error event
 */
import type { Socket } from "node:net";
import { refuse } from "./refuse.ts";
import type { TrafficState } from "./server.ts";
import type { TrafficListener } from "./wire/client-exchange.ts";

export interface DrainTimes {
  /** Time from SIGTERM until calls under way are cut, in milliseconds. */
  drainMs: number;
  /** The part of it in which requests are still served; at most half. */
  delayMs: number;
  /**
   * true if clients are many and unknown: waits the whole delay while any client is connected. false: waits only until
   * all connections are idle.
   */
  patient: boolean;
}

/** How long a connection without a call may take to send a request while draining. */
const strayMs = 500;
/** A recently used connection may be about to send its next request. */
const idleMs = { patient: 1_000, hasty: 250 };
/** After this long without a connection, there is no client to wait for. */
const lonelyMs = { patient: 500, hasty: 0 };
const lookMs = 25;

/** Client connections, and since when each has been idle. */
class Connected {
  readonly #sockets = new Set<Socket>();
  readonly #idleSince = new Map<Socket, number>();

  constructor({ server, secure }: TrafficListener) {
    server.on(secure === null ? "connection" : "secureConnection", (socket: Socket) => {
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

  /** Records which connections are idle now. Call it repeatedly. */
  look({ active }: TrafficState, nowMs: number): void {
    const busy = new Set([...active].map((client) => client.socket));
    for (const socket of this.#sockets) {
      if (busy.has(socket) || socket.writableLength > 0) this.#idleSince.delete(socket);
      else if (!this.#idleSince.has(socket)) this.#idleSince.set(socket, nowMs);
    }
  }

  /** Returns the connections that have been idle for at least `forMs`. */
  idle(forMs: number, nowMs: number): Socket[] {
    return [...this.#idleSince].filter(([, sinceMs]) => nowMs - sinceMs >= forMs).map(([socket]) => socket);
  }
}

export class Drain {
  readonly #listener: TrafficListener;
  readonly #state: TrafficState;
  readonly #connected: Connected;

  /** Create it before the listener accepts connections. */
  constructor(listener: TrafficListener, state: TrafficState) {
    this.#listener = listener;
    this.#state = state;
    this.#connected = new Connected(listener);
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

  /** Recently used connections get a moment in which their next answer asks them to reconnect. */
  async #close(endMs: number, manner: keyof typeof idleMs): Promise<void> {
    let quietSince = performance.now();
    const tidy = (): void => {
      const nowMs = performance.now();
      if (this.#state.active.size > 0) quietSince = nowMs;
      this.#connected.look(this.#state, nowMs);
      for (const socket of this.#connected.idle(idleMs[manner], nowMs)) socket.destroy();
      if (nowMs - quietSince >= idleMs[manner] + strayMs || nowMs >= endMs) this.#listener.cutAll();
    };
    tidy();
    const look = setInterval(tidy, lookMs);
    await this.#listener.close();
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
