/** Keep-alive connections to one origin, each with one call at a time. */
import type { Socket } from "node:net";
import { buildConnector, Client, type Dispatcher } from "undici";
import { guardedLookup } from "../config/destination.ts";
import { stalledWrite } from "./causes.ts";
import { onread, readDirectly } from "./direct-reads.ts";
import { type IndexedMember, IndexedSet } from "./indexed-set.ts";
import type { UpstreamAddress } from "./upstream-address.ts";

const idleMs = 30_000;
const longestIdleMs = 300_000;

class StalledWriteError extends Error {
  override readonly name = "StalledWriteError";
  readonly code = stalledWrite;
}

function connectorOf(address: UpstreamAddress): buildConnector.connector {
  const { ca = null, serverName = null, client = null } = address.tls ?? {};
  const lookup = guardedLookup(address.allowPrivate) as never;
  const trust = ca === null ? {} : { ca };
  const shown = client === null ? {} : { cert: client.cert, key: client.key };
  // The connector keeps TLS sessions, so a session made with another certificate is never resumed.
  const connect = buildConnector({ timeout: address.connectMs, allowH2: false, lookup, onread, ...trust, ...shown });
  return (options, callback) =>
    connect(serverName === null ? options : { ...options, servername: serverName }, (...result) => {
      if (result[0] === null) readDirectly(result[1]);
      callback(...result);
    });
}

/** A connection that serves one call after another. */
export class Connection implements IndexedMember {
  place = -1;
  readonly #origin: Connections;
  readonly #client: Client;
  readonly #writeMs: number;
  #socket: Socket | null = null;
  #watched = false;
  #trouble: Error | null = null;

  constructor(origin: Connections, address: UpstreamAddress, connect: buildConnector.connector) {
    this.#origin = origin;
    this.#writeMs = address.writeMs;
    this.#client = new Client(address.origin, {
      connect: (options, callback) =>
        connect(options, (...result) => {
          this.#socket = result[0] === null ? result[1] : null;
          this.#socket?.once("error", (cause: Error) => {
            this.#trouble = cause;
          });
          callback(...result);
        }),
      // The pipeline enforces the time limits itself: first token, idle and total differ by provider.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: longestIdleMs,
      pipelining: 1,
      allowH2: false,
    });
    this.#client.on("disconnect", () => this.#origin.disconnected(this));
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#client.dispatch(options, handler);
  }

  /**
   * Part of the request was handed to the socket: limits how long the upstream may take to read it. undici has no time
   * limit for sending, but node:net reports an idle socket, and bytes still waiting to be sent tell why it is idle.
   */
  sent(): void {
    const socket = this.#socket;
    if (this.#watched || socket === null || socket.writableLength === 0) return;
    this.#watched = true;
    socket.setTimeout(this.#writeMs, () => {
      if (socket.writableLength > 0) socket.destroy(new StalledWriteError("the upstream stopped reading the request"));
      else this.#unwatch();
    });
  }

  #unwatch(): void {
    this.#watched = false;
    this.#socket?.setTimeout(0).removeAllListeners("timeout");
  }

  /**
   * What ended the connection. After a TLS alert undici reports only that the other side closed, which follows at once.
   */
  why(told: Error): Error {
    return (told as { code?: unknown }).code === "UND_ERR_SOCKET" ? (this.#trouble ?? told) : told;
  }

  /** Ends the call. `clean`: the connection can be reused. */
  release(clean: boolean): void {
    if (this.#watched) this.#unwatch();
    this.#origin.released(this, clean);
  }

  /** Closes the connection after the current call. */
  close(): void {
    this.#client.close().catch(() => undefined);
  }

  destroy(): Promise<void> {
    return this.#client.destroy();
  }
}

/** The most recently used connection is reused first, so that surplus connections become idle and are closed. */
export class Connections {
  readonly #address: UpstreamAddress;
  readonly #connect: buildConnector.connector;
  readonly #all = new Set<Connection>();
  readonly #idle = new IndexedSet<Connection>();
  #closed = false;

  constructor(address: UpstreamAddress) {
    this.#address = address;
    this.#connect = connectorOf(address);
  }

  /** Returns a connection for one call, which must release it. */
  take(): Connection {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const made = new Connection(this, this.#address, this.#connect);
    this.#all.add(made);
    return made;
  }

  released(connection: Connection, clean: boolean): void {
    if (clean && !this.#closed) this.#idle.add(connection);
    else this.#drop(connection);
  }

  disconnected(connection: Connection): void {
    if (connection.place < 0) return;
    this.#idle.delete(connection);
    this.#drop(connection);
  }

  #drop(connection: Connection): void {
    this.#all.delete(connection);
    connection.close();
  }

  /** Stops taking calls; those in flight finish. */
  close(): void {
    this.#closed = true;
    for (const idle of this.#idle) this.disconnected(idle);
  }

  async destroy(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#all].map((connection) => connection.destroy()));
  }
}
