/**
 * One request on a client's connection, and its answer: the interface of an HTTP/1.1 server. `http1/` implements it
 * itself, `node-exchange.ts` with node:http.
 */
import type { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import type { Server, Socket } from "node:net";
import type { Readable } from "node:stream";
import type { Server as SecureServer } from "node:tls";
import type { Body, ReadBounds } from "./gathered-body.ts";

/** The headers of an answer. */
export type AnswerFields = Record<string, string | number>;

export interface ClientExchange {
  readonly method: string;
  /** Path and query, exactly as sent. */
  readonly url: string;
  readonly httpVersion: string;
  /** Names and values alternately, exactly as sent. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
  /** Whether all of the request has arrived. */
  readonly complete: boolean;
  /** Whether the answer's head was sent. */
  readonly headSent: boolean;
  /** Whether the answer was ended. */
  readonly ended: boolean;
  /** Returns the request's whole body; synchronously if all of it has arrived. Call it only once. */
  whole(maxBytes: number, bounds: ReadBounds): Body | Promise<Body>;
  /** The request's body as a stream, which fails if the client disconnects. Instead of `whole`. */
  bodyStream(): Readable;
  /** Sends 100 Continue. */
  continue(): void;
  /** An answer without content-length is sent in chunks, and to HTTP/1.0 until the connection closes. */
  head(status: number, headers: AnswerFields): void;
  /** Sends a part of the answer's body. Returns false if the socket is full: wait for `onDrain`. */
  write(bytes: Buffer): boolean;
  onDrain(listener: () => void): void;
  end(bytes?: Uint8Array | string): void;
  /** Sets the only listener for a client that disconnects before the answer's end. */
  onGone(listener: () => void): void;
  /**
   * Ends HTTP on the connection and hands it to the handler's `upgraded`. Returns false, and does nothing, if that is
   * not possible. Absent if it never is. `owner`: the caller to whom the connection belongs.
   */
  upgrade?(owner: string): boolean;
  /** Destroys the connection. */
  destroy(): void;
}

/** Why the server itself answers and closes a connection. */
export type WireFault = "malformed" | "headers_too_large" | "timeout" | "plain_http";

/** What a server does with requests. */
export interface ExchangeHandler {
  handle(exchange: ClientExchange): void;
  /** Takes over the connection of an exchange that was upgraded; its socket emits `data` from now on. */
  upgraded?(exchange: ClientExchange, owner: string): void;
  /** The complete answer to something that isn't a valid request. The connection is then closed. */
  refusal(fault: WireFault): string;
}

/** Limits and times of a server, in milliseconds and bytes. */
export interface ServerTimes {
  keepAliveMs: number;
  /** From the first byte of a request to the end of its headers. */
  headersMs: number;
  /** From the first byte of a request to its end. */
  requestMs: number;
  tcpKeepAliveMs: number;
  maxHeaderBytes: number;
}

export interface TrafficListener {
  readonly server: Server;
  /** The same server, if it speaks TLS. */
  readonly secure: SecureServer | null;
  /** Stops listening, and resolves when the last connection has closed. */
  close(): Promise<void>;
  /** Cuts all connections. */
  cutAll(): void;
}
