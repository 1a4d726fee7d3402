/**
 * Connections to providers by undici: for requests whose body is a stream, and as the fallback for `http1/`. undici
 * reads its sockets through `direct-reads.ts`.
 */
import type { Socket } from "node:net";
import { buildConnector, Client, type Dispatcher } from "undici";
import { guardedLookup } from "../config/destination.ts";
import type { Egress } from "../config/egress/egress.ts";
import { onread, readDirectly } from "./direct-reads.ts";
import type {
  ConnectionOwner,
  ProviderConnection,
  ResponseHeaders,
  UpstreamRequest,
  WireCall,
  WireHandler,
} from "./provider-wire.ts";
import { throughEgress } from "./undici-egress.ts";
import type { UpstreamAddress } from "./upstream-address.ts";
import { WriteWatch } from "./write-watch.ts";

const idleMs = 30_000;
const maxIdleMs = 300_000;

export function undiciConnectorOf(address: UpstreamAddress, egress: Egress): buildConnector.connector {
  const { ca = null, serverName = null, client = null } = address.tls ?? {};
  const lookup = guardedLookup(address.allowPrivate) as never;
  const trust = ca === null ? {} : { ca };
  const shown = client === null ? {} : { cert: client.cert, key: client.key };
  const named = (options: buildConnector.Options): buildConnector.Options =>
    serverName === null ? options : { ...options, servername: serverName };
  // The connector keeps TLS sessions, so a session made with another certificate is never resumed.
  const connect = buildConnector({ timeout: address.connectMs, allowH2: false, lookup, onread, ...trust, ...shown });
  const tunnelled = throughEgress(egress, address, connect);
  if (tunnelled !== null) return (options, callback) => tunnelled(named(options), callback);
  return (options, callback) =>
    connect(named(options), (...result) => {
      if (result[0] === null) readDirectly(result[1]);
      callback(...result);
    });
}

/** A call's events, as undici reports them. */
class UndiciCall implements Dispatcher.DispatchHandler, WireCall {
  readonly #connection: UndiciConnection;
  readonly #handler: WireHandler;
  #controller: Dispatcher.DispatchController | null = null;
  #aborted = false;

  constructor(connection: UndiciConnection, handler: WireHandler) {
    this.#connection = connection;
    this.#handler = handler;
  }

  abort(): void {
    this.#aborted = true;
    this.#controller?.abort(new Error("aborted by the gateway"));
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted) controller.abort(new Error("aborted by the gateway"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: ResponseHeaders): void {
    // Released: these strings are slices of the read that brought them, and would keep it in memory until the end.
    controller.rawHeaders = null;
    if (status >= 200) this.#handler.head(status, headers);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.data(chunk);
  }

  onBodySent(): void {
    this.#handler.requestSent();
    this.#connection.sent();
  }

  onResponseEnd(): void {
    this.#connection.release(true);
    this.#handler.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#connection.release(false);
    if (!this.#aborted) this.#handler.failed(this.#connection.why(error));
  }
}

export class UndiciConnection implements ProviderConnection {
  place = -1;
  readonly #owner: ConnectionOwner;
  readonly #client: Client;
  readonly #writing: WriteWatch;
  #socket: Socket | null = null;
  #trouble: Error | null = null;

  constructor(owner: ConnectionOwner, address: UpstreamAddress, connect: buildConnector.connector) {
    this.#owner = owner;
    this.#writing = new WriteWatch(address.writeMs);
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
      keepAliveMaxTimeout: maxIdleMs,
      pipelining: 1,
      allowH2: false,
    });
    this.#client.on("disconnect", () => this.#owner.disconnected(this));
  }

  /** undici reconnects by itself. */
  usable(): boolean {
    return true;
  }

  send({ method, path, headers, body }: UpstreamRequest, handler: WireHandler): WireCall {
    const call = new UndiciCall(this, handler);
    this.#client.dispatch({ method, path, headers, body }, call);
    return call;
  }

  /** Part of the request was handed to the socket. */
  sent(): void {
    if (this.#socket !== null) this.#writing.begin(this.#socket);
  }

  /** What ended the connection. After a TLS alert, the other side closes at once, and undici reports only that. */
  why(reported: Error): Error {
    return (reported as { code?: unknown }).code === "UND_ERR_SOCKET" ? (this.#trouble ?? reported) : reported;
  }

  /** Ends the call. `clean`: the connection can be reused. */
  release(clean: boolean): void {
    this.#writing.end();
    this.#owner.released(this, clean);
  }

  destroy(): void {
    this.#client.destroy().catch(() => undefined);
  }
}
