/** Clients' requests through node:http: the fallback for `http1/`, and the reference in its tests. */
import { Buffer } from "node:buffer";
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex, Readable, Writable } from "node:stream";
import type { AnswerFields, ClientExchange, ExchangeHandler, ServerTimes, TrafficListener } from "./client-exchange.ts";
import { asBuffer, framed, lastChunk, maxDrainedBytes, maxJoinedBytes } from "./framing.ts";
import type { Body, ReadBounds } from "./gathered-body.ts";
import { Incoming } from "./incoming.ts";
import { answerPlainHttp } from "./plain-http.ts";
import { afterTick, type Task } from "./tick-batch.ts";
import type { TlsMaterial } from "./tls.ts";

class NodeExchange implements ClientExchange, Task {
  readonly #request: Incoming;
  readonly #response: ServerResponse;
  /** Whether the answer's chunks are framed here rather than by node:http. */
  #frames = false;
  /** Whether the first chunk was written, together with the head. */
  #begun = false;
  /** Framed chunks of the current turn of the event loop, as Latin-1. */
  #unsent = "";
  #gone = false;

  constructor(request: Incoming, response: ServerResponse) {
    this.#request = request;
    this.#response = response;
    // A socket error is also reported as `close`, but without this listener it would end the process.
    response.on("error", () => undefined);
  }

  get method(): string {
    return this.#request.method ?? "GET";
  }

  get url(): string {
    return this.#request.url ?? "/";
  }

  get httpVersion(): string {
    return this.#request.httpVersion;
  }

  get rawHeaders(): readonly string[] {
    return this.#request.rawHeaders;
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  get socket(): Socket {
    return this.#request.socket;
  }

  get complete(): boolean {
    return this.#request.complete;
  }

  get headSent(): boolean {
    return this.#response.headersSent;
  }

  get ended(): boolean {
    return this.#response.writableEnded;
  }

  whole(maxBytes: number, bounds: ReadBounds): Body | Promise<Body> {
    return this.#request.whole(maxBytes, bounds);
  }

  bodyStream(): Readable {
    return this.#request.asStream();
  }

  continue(): void {
    this.#response.writeContinue();
  }

  onGone(listener: () => void): void {
    this.#response.on("close", () => {
      if (this.#response.writableFinished) return;
      this.#gone = true;
      listener();
    });
  }

  head(status: number, headers: AnswerFields): void {
    const bodied = this.method !== "HEAD" && status !== 204 && status !== 304;
    const frames = bodied && this.httpVersion === "1.1" && headers["content-length"] === undefined;
    if (frames) headers["transfer-encoding"] = "chunked";
    this.#response.writeHead(status, headers);
    if (!frames) return;
    this.#response.chunkedEncoding = false;
    this.#frames = true;
  }

  write(bytes: Buffer): boolean {
    if (!this.#frames) return this.#response.write(bytes);
    const out = framed(bytes);
    if (this.#begun && typeof out === "string") {
      if (this.#unsent === "") afterTick(this);
      this.#unsent += out;
      return !this.#stream().writableNeedDrain;
    }
    this.run();
    const to = this.#stream();
    this.#begun = true;
    return typeof out === "string" ? to.write(out, "latin1") : to.write(out);
  }

  /** Writes the part of the answer gathered in this turn of the event loop. */
  run(): void {
    const out = this.#unsent;
    this.#unsent = "";
    if (out !== "" && !this.#gone) this.#stream().write(out, "latin1");
  }

  /**
   * Where to write after the head. node:http adds nothing to chunks that are already framed, but delays each to the end
   * of the tick. It has no socket yet for an answer that waits for an earlier one on the same connection.
   */
  #stream(): Writable {
    return (this.#begun ? this.#response.socket : null) ?? this.#response;
  }

  onDrain(listener: () => void): void {
    this.#stream().once("drain", listener);
  }

  end(bytes?: Uint8Array | string): void {
    if (this.#frames) {
      if (bytes !== undefined && bytes.length > 0) this.write(asBuffer(bytes));
      this.run();
      this.#response.end(lastChunk, "latin1");
      return;
    }
    // node:http writes the head and a short string in one piece, but the head and a buffer in two.
    if (Buffer.isBuffer(bytes) && bytes.length <= maxJoinedBytes)
      this.#response.end(bytes.toString("latin1"), "latin1");
    else this.#response.end(bytes);
    // A large body that was refused unread would keep the connection busy, so close it after the answer. node:http
    // reads and discards the rest of a small one, which costs both sides less than a new connection.
    const declared = Number(this.#request.headers["content-length"] ?? Number.NaN);
    if (!this.#request.complete && !(declared <= maxDrainedBytes))
      this.#response.once("finish", () => this.#request.destroy());
  }

  destroy(): void {
    this.#response.destroy();
  }
}

function optionsOf(times: ServerTimes) {
  return {
    IncomingMessage: Incoming,
    keepAliveTimeout: times.keepAliveMs,
    requestTimeout: times.requestMs,
    headersTimeout: times.headersMs,
    maxHeaderSize: times.maxHeaderBytes,
    // The pipeline refuses a missing Host, with a message.
    requireHostHeader: false,
    // A complete answer may take minutes, during which nothing moves on its connection.
    keepAlive: true,
    keepAliveInitialDelay: times.tcpKeepAliveMs,
  };
}

/** `tls`: null for plain HTTP. */
export function nodeListener(tls: TlsMaterial | null, times: ServerTimes, handler: ExchangeHandler): TrafficListener {
  const handle = (request: Incoming, response: ServerResponse<Incoming>): void =>
    handler.handle(new NodeExchange(request, response));
  const options = optionsOf(times);
  const server: Server | SecureServer =
    tls === null ? createServer(options, handle) : createSecureServer({ ...options, ...tls.options }, handle);
  if (tls !== null) answerPlainHttp(server as SecureServer, () => handler.refusal("plain_http"));
  server.on("clientError", (error: { code?: string }, socket: Duplex) => {
    if (error.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const fault =
      error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "timeout"
        : error.code === "HPE_HEADER_OVERFLOW"
          ? "headers_too_large"
          : "malformed";
    socket.end(handler.refusal(fault));
  });
  // A client that waits before sending its body gets `100 Continue` from the stage that reads it, after authentication.
  server.on("checkContinue", handle);
  return {
    server,
    secure: tls === null ? null : (server as SecureServer),
    close() {
      // node:http closes all idle connections when it stops listening, even with a request on its way.
      server.closeIdleConnections = () => undefined;
      return new Promise((resolve) => server.close(() => resolve()));
    },
    cutAll: () => server.closeAllConnections(),
  };
}
