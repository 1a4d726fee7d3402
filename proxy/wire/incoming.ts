/**
 * node:http's requests, whose bodies are collected without node:stream. A body that is read whole doesn't need it, and
 * its queue, its events and the ticks in which it ends and closes cost more than the reading. Until the body is
 * requested as a stream, node:http's parser passes its pieces to `push` here.
 */
import type { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";
import { type Body, GatheredBody, type ReadBounds } from "./gathered-body.ts";

export class Incoming extends IncomingMessage {
  /** null once node:stream has the body. */
  #body: GatheredBody | null = new GatheredBody();

  static {
    // node:http releases an answered request once its body has ended, or else with the connection's next request: it
    // would hold the caller's key for as long as the connection is idle.
    Object.defineProperty(Incoming.prototype, "readableEnded", {
      get(this: Incoming): boolean {
        return this.#body?.read || Boolean(Reflect.get(IncomingMessage.prototype, "readableEnded", this));
      },
    });
  }

  /** Takes a piece from the parser. Returns false to pause the socket until the body is requested. */
  override push(piece: Buffer | null): boolean {
    if (this.#body === null) return super.push(piece);
    if (piece !== null) return this.#body.add(piece);
    this.#body.end();
    return true;
  }

  /** Returns the whole body; synchronously if all of it has arrived. Call it only once. */
  whole(maxBytes: number, bounds: ReadBounds = {}): Body | Promise<Body> {
    const body = this.#body?.whole(maxBytes, bounds) ?? "gone";
    // Tells node:http that the body was consumed, or resumes the socket if it was paused.
    if (typeof body !== "string") this._read(0);
    return body;
  }

  /** Returns the body as a node:stream after all, including what has arrived. */
  asStream(): this {
    const pieces = this.#body?.take() ?? [];
    this.#body = null;
    for (const piece of pieces) super.push(piece);
    if (this.complete) super.push(null);
    return this;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#body?.lose();
    super._destroy(error, callback);
  }
}
