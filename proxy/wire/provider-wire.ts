/**
 * A connection to a provider, which serves one call after another: the interface of an HTTP/1.1 client for
 * `upstream.ts`.
 */
import type { Buffer } from "node:buffer";
import type { Readable } from "node:stream";
import type { IndexedMember } from "./indexed-set.ts";

export interface UpstreamRequest {
  method: "POST" | "GET" | "DELETE";
  path: string;
  headers: Record<string, string>;
  body: string | Uint8Array | Readable | null;
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Called while the connection reads: must not write to a socket. */
export interface WireHandler {
  /** All of the request was handed to the socket. */
  requestSent(): void;
  head(status: number, headers: ResponseHeaders): void;
  data(chunk: Buffer): void;
  /** The last event, unless `failed` is. The connection was released before. */
  end(): void;
  failed(error: Error): void;
}

/** A call on a connection. */
export interface WireCall {
  /** Ends the call and its connection. No event follows. */
  abort(): void;
  pause(): void;
  resume(): void;
}

export interface ProviderConnection extends IndexedMember {
  /** Whether an idle connection can take a call. */
  usable(): boolean;
  send(request: UpstreamRequest, handler: WireHandler): WireCall;
  destroy(): void;
}

/** The pool to which a connection returns. */
export interface ConnectionOwner {
  /** The call is over. `reusable`: the connection can take another. */
  released(connection: ProviderConnection, reusable: boolean): void;
  /** The connection was closed while idle. */
  disconnected(connection: ProviderConnection): void;
  /** Sends a request again on a new connection, if an idle one turned out to be closed. */
  again(request: UpstreamRequest, handler: WireHandler): WireCall;
}

export class StalledWriteError extends Error {
  override readonly name = "StalledWriteError";
  readonly code = "ESLUICEWRITE";
}
