/**
 * Limits how long a provider may take to read a request. Nothing else does: node:net reports an idle socket, and unsent
 * bytes show why it is idle.
 */
import type { Socket } from "node:net";
import { StalledWriteError } from "./provider-wire.ts";

export class WriteWatch {
  readonly #limitMs: number;
  /** The socket that is watched. */
  #socket: Socket | null = null;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Call it when part of a request was handed to the socket. */
  begin(socket: Socket): void {
    if (this.#socket !== null || socket.writableLength === 0) return;
    this.#socket = socket;
    socket.setTimeout(this.#limitMs, () => {
      if (socket.writableLength > 0) socket.destroy(new StalledWriteError("the upstream stopped reading the request"));
      else this.end();
    });
  }

  end(): void {
    this.#socket?.setTimeout(0).removeAllListeners("timeout");
    this.#socket = null;
  }
}
