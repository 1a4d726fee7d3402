/** A connection to a provider, which serves one call after another: what `upstream.ts` needs of an HTTP/1.1 client. */
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
  /** The last event, or `failed` is. The connection was released before. */
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
  /** Whether it can take a call. Asked of idle connections. */
  usable(): boolean;
  send(request: UpstreamRequest, handler: WireHandler): WireCall;
  destroy(): void;
}

/** Where a connection returns to. */
export interface ConnectionOwner {
  /** The call is over. `reusable`: the connection can take another. */
  released(connection: ProviderConnection, reusable: boolean): void;
  /** It was closed while idle. */
  disconnected(connection: ProviderConnection): void;
  /** Sends on a new connection what could not be sent on one that had been idle. */
  again(request: UpstreamRequest, handler: WireHandler): WireCall;
}

export class StalledWriteError extends Error {
  override readonly name = "StalledWriteError";
  readonly code = "ESLUICEWRITE";
}
