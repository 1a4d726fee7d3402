/** What a client sends: the head of its request, and the body. */
import type { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Readable, Transform } from "node:stream";
import type { Failure } from "../failure.ts";
import type { ClientExchange } from "./client-exchange.ts";
import type { ReadBounds } from "./gathered-body.ts";
import { readBody } from "./request-body.ts";

export class ClientRequest {
  readonly requestId: string;
  protected readonly exchange: ClientExchange;

  constructor(exchange: ClientExchange, requestId: string) {
    this.exchange = exchange;
    this.requestId = requestId;
  }

  get method(): string {
    return this.exchange.method;
  }

  /** Path without the query, exactly as sent: neither decoded nor normalised. */
  get path(): string {
    const { url } = this.exchange;
    const query = url.indexOf("?");
    return query < 0 ? url : url.slice(0, query);
  }

  /** Path and query, exactly as sent. */
  get url(): string {
    return this.exchange.url;
  }

  get headers(): IncomingHttpHeaders {
    return this.exchange.headers;
  }

  /** Header names and values alternately, exactly as sent. */
  get rawHeaders(): readonly string[] {
    return this.exchange.rawHeaders;
  }

  get httpVersion(): string {
    return this.exchange.httpVersion;
  }

  header(name: string): string | null {
    const value = this.exchange.headers[name];
    return typeof value === "string" ? value : (value?.[0] ?? null);
  }

  get socket(): Socket {
    return this.exchange.socket;
  }

  get remoteAddress(): string {
    return this.exchange.socket.remoteAddress ?? "";
  }

  /** Sends 100 Continue to a client that waits for it, now that its body is wanted. */
  #continue(): void {
    const { headers, complete } = this.exchange;
    if (headers.expect?.toLowerCase() === "100-continue" && !complete) this.exchange.continue();
  }

  /**
   * Reads the whole body, at most `maxBytes`; synchronously if all of it has arrived. `orElse`: a remedy other than
   * sending less, for the message.
   */
  readBody(maxBytes: number, orElse = "", bounds: ReadBounds = {}): Buffer | Failure | Promise<Buffer | Failure> {
    this.#continue();
    return readBody(this.exchange, maxBytes, orElse, bounds);
  }

  /** Streams the body through `through`; its errors are reported on the returned stream. */
  bodyStream(through: Transform): Readable {
    this.#continue();
    const request = this.exchange.bodyStream();
    request.once("error", (cause) => through.destroy(cause));
    request.once("close", () => {
      if (!this.exchange.complete) through.destroy(new Error("the client went away"));
    });
    return request.pipe(through);
  }
}
