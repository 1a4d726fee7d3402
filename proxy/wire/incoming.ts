/**
 * Client requests whose bodies are collected without node:stream. A body that is read whole doesn't need it, and its
 * queue, its events and the ticks in which it ends and closes cost more than the reading. Until the body is requested
 * as a stream, node:http's parser passes its pieces to `push` here.
 */
import { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";

/**
 * too_large: larger than allowed; the rest is not read. no_room: `grow` refused more. too_slow: it arrived more slowly
 * than allowed. gone: the client disconnected before the end.
 */
export type Body = Buffer | "too_large" | "no_room" | "too_slow" | "gone";

/** Further limits on reading a body. */
export interface ReadBounds {
  /** Whether the body may grow to this many bytes. */
  grow?(bytes: number): boolean;
  /** Minimum bytes per second, averaged over a few seconds; 0 for no minimum. */
  minBytesPerSecond?: number;
}

interface Reader extends ReadBounds {
  maxBytes: number;
  resolve(body: Body): void;
  /** Bytes received when the rate was last checked. */
  seenBytes: number;
}

/** How often the rate is checked. A body gets twice as long before it is cut off. */
const paceMs = 5_000;

const nothing = Buffer.alloc(0);

export class Incoming extends IncomingMessage {
  /** null once node:stream has the body. */
  #pieces: Buffer[] | null = [];
  #bytes = 0;
  #reader: Reader | null = null;
  #read = false;
  #pace: NodeJS.Timeout | undefined;

  static {
    // node:http releases an answered request once its body has ended, or else with the connection's next request: it
    // would hold the caller's key for as long as the connection is idle.
    Object.defineProperty(Incoming.prototype, "readableEnded", {
      get(this: Incoming): boolean {
        return this.#read || Boolean(Reflect.get(IncomingMessage.prototype, "readableEnded", this));
      },
    });
  }

  /** Takes a piece from the parser. Returns false to pause the socket until the body is requested. */
  override push(piece: Buffer | null): boolean {
    if (this.#pieces === null) return super.push(piece);
    if (piece !== null) {
      this.#pieces.push(piece);
      this.#bytes += piece.length;
    }
    if (this.#reader === null) return this.#bytes < this.readableHighWaterMark;
    if (this.#bytes > this.#reader.maxBytes) this.#settle("too_large");
    else if (this.#reader.grow?.(this.#bytes) === false) this.#settle("no_room");
    else if (piece === null) this.#settle(this.#joined());
    else return true;
    return false;
  }

  /** Returns the whole body; synchronously if all of it has arrived. Call it only once. */
  whole(maxBytes: number, bounds: ReadBounds = {}): Body | Promise<Body> {
    if (this.#bytes > maxBytes) return "too_large";
    if (bounds.grow?.(this.#bytes) === false) return "no_room";
    if (this.complete) {
      // Tells node:http that the body was consumed.
      this._read(0);
      return this.#joined();
    }
    if (this.destroyed) return "gone";
    return new Promise((resolve) => {
      this.#reader = { ...bounds, maxBytes, resolve, seenBytes: this.#bytes };
      this.#watch();
      // Resumes the socket if it was paused.
      this._read(0);
    });
  }

  /** Returns the body as a node:stream after all, including what has arrived. */
  asStream(): this {
    const pieces = this.#pieces ?? [];
    this.#pieces = null;
    for (const piece of pieces) super.push(piece);
    if (this.complete) super.push(null);
    return this;
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#settle("gone");
    super._destroy(error, callback);
  }

  /** Cuts off a body that arrives too slowly: its sender could hold its memory for as long as it likes. */
  #watch(): void {
    const perLook = ((this.#reader?.minBytesPerSecond ?? 0) * paceMs) / 1000;
    if (perLook <= 0) return;
    let slow = 0;
    this.#pace = setInterval(() => {
      const reader = this.#reader;
      if (reader === null) return;
      slow = this.#bytes - reader.seenBytes < perLook ? slow + 1 : 0;
      reader.seenBytes = this.#bytes;
      if (slow > 1) this.#settle("too_slow");
    }, paceMs);
    this.#pace.unref();
  }

  #joined(): Buffer {
    const pieces = this.#pieces ?? [];
    this.#pieces = [];
    this.#read = true;
    return pieces.length === 1 ? (pieces[0] ?? nothing) : Buffer.concat(pieces);
  }

  #settle(body: Body): void {
    const reader = this.#reader;
    this.#reader = null;
    clearInterval(this.#pace);
    reader?.resolve(body);
  }
}
