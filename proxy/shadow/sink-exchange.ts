/** The client's side of a copy: nobody reads its answer. */
import type { Buffer } from "node:buffer";
import { Socket } from "node:net";
import { Readable } from "node:stream";
import type { ClientExchange } from "../wire/client-exchange.ts";

export class SinkExchange implements ClientExchange {
  readonly method = "POST";
  readonly httpVersion = "1.1";
  readonly rawHeaders: readonly string[] = [];
  readonly headers = {};
  readonly complete = true;
  readonly url: string;
  headSent = false;
  ended = false;
  #gone: () => void = () => undefined;
  #socket: Socket | null = null;

  constructor(url: string) {
    this.url = url;
  }

  get socket(): Socket {
    return (this.#socket ??= new Socket());
  }

  whole(): Buffer {
    throw new Error("a copy's body is read already");
  }

  bodyStream(): Readable {
    return Readable.from([]);
  }

  continue(): void {
    // Its body has arrived.
  }

  head(): void {
    this.headSent = true;
  }

  write(): boolean {
    return true;
  }

  onDrain(): void {
    // It is never full.
  }

  end(): void {
    this.ended = true;
  }

  onGone(listener: () => void): void {
    this.#gone = listener;
  }

  /** Breaks the copy off. */
  destroy(): void {
    this.#gone();
  }
}
