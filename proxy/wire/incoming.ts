/**
 * Requests of clients, whose bodies are gathered past node:stream. A body that is read whole needs none of it: its
 * queue, its events and the ticks in which it ends and closes cost more than the reading. Until the body is asked for as
 * a stream, node:http's parser hands its pieces to `push` here.
 */
import { Buffer } from "node:buffer";
import { IncomingMessage } from "node:http";

/**
 * too_large: larger than was allowed; the rest is not read. no_room: `grow` refused more. too_slow: it came more slowly
 * than is allowed. gone: the client went away before its end.
 */
export type Body = Buffer | "too_large" | "no_room" | "too_slow" | "gone";

/** What else bounds the reading of a body. */
export interface ReadBounds {
  /** Whether the body may grow to so many bytes. */
  grow?(bytes: number): boolean;
  /** Bytes a second, on average over a few seconds; 0 for any. */
  minBytesPerSecond?: number;
}

interface Reader extends ReadBounds {
  maxBytes: number;
  resolve(body: Body): void;
  /** What had come when the rate was last looked at. */
  seenBytes: number;
}

/** How often the rate is looked at. A body gets twice as long before it is cut. */
const paceMs = 5_000;

const nothing = Buffer.alloc(0);

export class Incoming extends IncomingMessage {
  /** null: node:stream has the body. */
  #pieces: Buffer[] | null = [];
  #bytes = 0;
  #reader: Reader | null = null;
  #read = false;
  #pace: NodeJS.Timeout | undefined;

  static {
    // node:http lets go of a request that was answered once its body is at its end, else with the next one of the
    // connection: the caller's key would be held for as long as the connection is idle.
    Object.defineProperty(Incoming.prototype, "readableEnded", {
      get(this: Incoming): boolean {
        return this.#read || Boolean(Reflect.get(IncomingMessage.prototype, "readableEnded", this));
      },
    });
  }

  /** From the parser. false: no more is read from the socket until the body is asked for. */
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

  /** The whole body; at once where it is all there. Once. */
  whole(maxBytes: number, bounds: ReadBounds = {}): Body | Promise<Body> {
    if (this.#bytes > maxBytes) return "too_large";
    if (bounds.grow?.(this.#bytes) === false) return "no_room";
    if (this.complete) {
      // Tells node:http that somebody had it.
      this._read(0);
      return this.#joined();
    }
    if (this.destroyed) return "gone";
    return new Promise((resolve) => {
      this.#reader = { ...bounds, maxBytes, resolve, seenBytes: this.#bytes };
      this.#watch();
      // The socket goes on, where it was held up.
      this._read(0);
    });
  }

  /** The body by node:stream after all, with what came already. */
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

  /** Cuts a body that comes too slowly: it would hold its place for as long as its sender likes. */
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
