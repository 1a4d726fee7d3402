/**
 * One call through the sidecar. The body is read only after a connection is established, so that another address can be
 * tried without buffering. Then bytes pass in both directions as they come, and a failure of one side ends the other.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type Socket } from "node:net";
import { pipeline } from "node:stream";
import { tunnelAgent } from "../config/egress/agents.ts";
import type { Egress } from "../config/egress/egress.ts";
import { surfaceOf } from "../dialects/surfaces.ts";
import { type Failure, failure, failures } from "../failure.ts";
import type { FleetAuthority } from "./authority.ts";
import type { Address, Fleet } from "./fleet.ts";
import type { ProjectedToken } from "./token.ts";

/** Headers not to pass on: they belong to one connection, or state the caller's identity or origin, which the sidecar sets. */
const ownTowardsFleet: ReadonlySet<string> = new Set([
  ...[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "host",
    "authorization",
    "x-api-key",
    "api-key",
    "cookie",
  ],
  ...["proxy-authorization", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"],
]);
const ownTowardsClient: ReadonlySet<string> = new Set(["connection", "keep-alive", "proxy-connection", "upgrade"]);

/** Shorter than the gateway's idle time, so that the gateway never closes first. */
const idleMs = 30_000;
const agentOptions = { keepAlive: true, timeout: idleMs, maxFreeSockets: 64 };
/** Pause between two attempts at the same address. */
const pauseMs = 100;

function passed(message: IncomingMessage, own: ReadonlySet<string>): string[] {
  const out: string[] = [];
  const listed = new Set(
    (message.headers.connection ?? "")
      .toLowerCase()
      .split(",")
      .map((text) => text.trim()),
  );
  for (let index = 0; index < message.rawHeaders.length; index += 2) {
    const name = message.rawHeaders[index] ?? "";
    const lower = name.toLowerCase();
    if (!own.has(lower) && !listed.has(lower)) out.push(name, message.rawHeaders[index + 1] ?? "");
  }
  return out;
}

/** Sent by name: a list given to writeHead can't be read again, nor added to. */
function sendHead(response: ServerResponse, status: number, headers: readonly string[]): void {
  for (let index = 0; index < headers.length; index += 2)
    response.appendHeader(headers[index] ?? "", headers[index + 1] ?? "");
  response.writeHead(status);
}

/** Resolves once the socket of a request is connected, including TLS. */
function connected(call: ClientRequest, tls: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    call.once("error", reject);
    call.once("socket", (socket: Socket) => {
      if (!socket.connecting) return resolve();
      socket.once(tls ? "secureConnect" : "connect", () => resolve());
    });
  });
}

export interface RelayOptions {
  fleet: Fleet;
  token: ProjectedToken;
  attempts: number;
  connectMs: number;
  /** Signs the gateway's certificate; null: the system's authorities. */
  authority: FleetAuthority | null;
  egress: Egress;
  /** Details for the log, never a token or a body. */
  note(fields: Record<string, unknown>, message: string): void;
}

export class Relay {
  readonly #options: RelayOptions;
  readonly #http = new HttpAgent(agentOptions);
  #https = new HttpsAgent(agentOptions);
  #pem: string | null = null;
  readonly #tunnels = new Map<string, HttpAgent | null>();

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** An agent holds the authorities of its connections, so new authorities take a new one. The old ones go idle. */
  async #agent(url: URL): Promise<HttpAgent> {
    const { authority } = this.#options;
    const tls = url.protocol === "https:";
    if (tls && authority !== null) {
      const pem = await authority.current();
      if (pem !== this.#pem) {
        this.#pem = pem;
        this.#https = new HttpsAgent({ ...agentOptions, ca: pem });
        this.#tunnels.clear();
      }
    }
    return this.#tunnel(url) ?? (tls ? this.#https : this.#http);
  }

  /** The agent whose connections go through the egress proxy; null if this gateway is reached directly. */
  #tunnel(url: URL): HttpAgent | null {
    let agent = this.#tunnels.get(url.origin);
    if (agent !== undefined) return agent;
    const trust = this.#pem === null ? {} : { ca: this.#pem };
    agent = tunnelAgent(this.#options.egress, url, true, { ...agentOptions, ...trust });
    this.#tunnels.set(url.origin, agent);
    return agent;
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
    for (const agent of this.#tunnels.values()) agent?.destroy();
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = await this.#options.token.current();
    if (token === null)
      return refuseRelayed(
        request,
        response,
        failure("sidecar_without_token", "The sidecar has no token of its Pod yet. Try again in a moment."),
      );
    const headers = [...passed(request, ownTowardsFleet), "authorization", `Bearer ${token}`];
    const call = await this.#connect(request, headers, () => response.destroyed);
    if (call === null)
      return refuseRelayed(
        request,
        response,
        failure("gateway_unreachable", "The sidecar could not reach the gateway. Try again in a moment."),
      );
    exchange(request, response, call, (cause) => this.#options.note({ err: cause.message }, "call broken"));
  }

  async #connect(request: IncomingMessage, headers: string[], gone: () => boolean): Promise<ClientRequest | null> {
    const { fleet, attempts, note } = this.#options;
    const tried = new Set<string>();
    for (const address of await fleet.candidates(attempts)) {
      if (gone()) return null;
      const name = `${address.host} ${address.port}`;
      if (tried.has(name)) await new Promise((resolve) => setTimeout(resolve, pauseMs));
      tried.add(name);
      const agent = await this.#agent(address.url);
      const call = open(agent, address, request, headers);
      try {
        await this.#inTime(connected(call, address.url.protocol === "https:"));
        fleet.reached(address);
        return call;
      } catch (cause) {
        call.on("error", () => undefined).destroy();
        fleet.failed(address);
        note(
          { address: address.host, port: address.port, err: cause instanceof Error ? cause.message : String(cause) },
          "gateway not reached; trying the next address",
        );
      }
    }
    return null;
  }

  #inTime(connecting: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("no connection in time")), this.#options.connectMs);
      connecting.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }
}

function open(agent: HttpAgent, address: Address, request: IncomingMessage, headers: string[]): ClientRequest {
  const common = {
    agent,
    host: address.host,
    port: address.port,
    method: request.method ?? "GET",
    path: request.url ?? "/",
    headers: [...headers, "host", address.url.host],
    setHost: false,
  };
  if (address.url.protocol !== "https:") return httpRequest(common);
  const { hostname } = address.url;
  return httpsRequest({ ...common, ...(isIP(hostname) === 0 ? { servername: hostname } : {}) });
}

function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  call: ClientRequest,
  broken: (cause: Error) => void,
): void {
  call.removeAllListeners("error");
  // The agent's limit is for idle connections; an answer may take longer.
  call.setTimeout(0);
  response.once("close", () => {
    if (!response.writableFinished) call.destroy();
  });
  call.on("error", (cause) => {
    if (response.destroyed) return;
    broken(cause);
    if (response.headersSent) response.destroy();
    else
      refuseRelayed(
        request,
        response,
        failure("gateway_unreachable", "The connection to the gateway broke before it answered."),
      );
  });
  call.once("response", (answer) => {
    sendHead(response, answer.statusCode ?? 502, passed(answer, ownTowardsClient));
    response.flushHeaders();
    // pipeline destroys the response, so that a broken answer doesn't look complete.
    pipeline(answer, response, (cause) => cause && broken(cause));
  });
  pipeline(request, call, (cause) => cause && call.destroy());
}

export function refuseRelayed(request: IncomingMessage, response: ServerResponse, failed: Failure): void {
  if (response.destroyed || response.headersSent) return;
  const body = JSON.stringify(surfaceOf(request.url ?? "").errorBody(failed, ""));
  response.writeHead(failures[failed.code].status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "x-should-retry": "true",
    "retry-after": "1",
    connection: "close",
  });
  response.end(body);
}
