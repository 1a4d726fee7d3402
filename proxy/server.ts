/**
 * The traffic listener, on the gateway's own HTTP/1.1, since the pipeline reads and answers every request itself.
 */
import { Buffer } from "node:buffer";
import { surfaces } from "./dialects/surfaces.ts";
import { failure } from "./failure.ts";
import type { Gateway } from "./pipeline/gateway.ts";
import { serve } from "./pipeline/serve.ts";
import { randomId } from "./random-id.ts";
import { refuse } from "./refuse.ts";
import type { Current } from "./snapshot/current.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import { ClientConnection } from "./wire/client.ts";
import type { ClientExchange, ServerTimes, TrafficListener, WireFault } from "./wire/client-exchange.ts";
import { http1Listener } from "./wire/http1/listener.ts";
import type { IndexedSet } from "./wire/indexed-set.ts";
import { nodeListener } from "./wire/node-exchange.ts";
import { atEndOfTick, type Task } from "./wire/tick-batch.ts";
import type { TlsMaterial } from "./wire/tls.ts";

const times: ServerTimes = {
  // Longer than load balancers keep idle connections, so that they close them and not we.
  keepAliveMs: 75_000,
  headersMs: 30_000,
  // Uploads may be slow; the body is limited by size. Headers must arrive quickly.
  requestMs: 300_000,
  // Shorter than the idle limits of common load balancers and NAT.
  tcpKeepAliveMs: 30_000,
  maxHeaderBytes: 16_384,
};

export interface TrafficState {
  /** Answers tell clients to reconnect, and the proxy is not ready. */
  draining: boolean;
  /** Calls are refused with a request to try again. */
  refusing: boolean;
  readonly active: IndexedSet<ClientConnection>;
}

const wellFormedId = /^[A-Za-z0-9._:-]{1,128}$/;

function requestIdOf(request: ClientExchange): string {
  const requestId = request.headers["x-request-id"];
  return typeof requestId === "string" && wellFormedId.test(requestId) ? requestId : randomId();
}

const faults = {
  timeout: ["408 Request Timeout", "request_timeout", "The request took too long to arrive."],
  headers_too_large: ["431 Request Header Fields Too Large", "invalid_value", "The request's headers are too large."],
  plain_http: ["400 Bad Request", "invalid_value", "This port speaks TLS. Use https:// instead of http://."],
  malformed: ["400 Bad Request", "invalid_value", "The request is not valid HTTP."],
} as const;

/**
 * The answer to malformed HTTP, in the usual error envelope. `pages`: whether web pages may call. The page's origin is
 * unknown here, but the answer reveals nothing about anyone.
 */
function refusalOf(fault: WireFault, pages: boolean): string {
  const [status, code, message] = faults[fault];
  const body = JSON.stringify(surfaces.openai.errorBody(failure(code, message), ""));
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${pages ? "access-control-allow-origin: *\r\n" : ""}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`;
}

/** A call that waits for the end of the turn. */
class Serving implements Task {
  readonly #client: ClientConnection;
  readonly #gateway: Gateway;
  readonly #snapshot: Snapshot;
  readonly #state: TrafficState;

  constructor(client: ClientConnection, gateway: Gateway, snapshot: Snapshot, state: TrafficState) {
    this.#client = client;
    this.#gateway = gateway;
    this.#snapshot = snapshot;
    this.#state = state;
  }

  run(): void {
    serve(this.#client, this.#gateway, this.#snapshot, this.#state.active);
  }
}

export interface TrafficOptions {
  /** null for plain HTTP. */
  tls: TlsMaterial | null;
  /** Own: the gateway's HTTP/1.1. Node: that of node:http. */
  http1: "Own" | "Node";
}

export function trafficListener(
  gateway: Gateway,
  current: Current,
  state: TrafficState,
  { tls, http1 }: TrafficOptions,
): TrafficListener {
  const closing = (): boolean => state.draining;
  const handle = (exchange: ClientExchange): void => {
    const client = new ClientConnection(exchange, requestIdOf(exchange), closing);
    if (state.refusing) {
      refuse(client, "draining");
      return;
    }
    const snapshot = current.snapshot();
    if (snapshot === null) {
      refuse(client, "not_ready");
      return;
    }
    state.active.add(client);
    atEndOfTick(new Serving(client, gateway, snapshot, state));
  };
  const refusal = (fault: WireFault): string =>
    refusalOf(fault, (current.snapshot()?.settings.cors.allowedOrigins.length ?? 0) > 0);
  const upgraded = (exchange: ClientExchange, owner: string): void => {
    const maxMessageBytes = current.snapshot()?.settings.maxBodyBytes ?? 0;
    gateway.webSockets?.open(exchange, { owner, maxMessageBytes, handle, closing });
  };
  return (http1 === "Own" ? http1Listener : nodeListener)(tls, times, { handle, refusal, upgraded });
}
