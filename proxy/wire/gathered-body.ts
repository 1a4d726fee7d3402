/** A request's body, gathered piece by piece without node:stream, until the stage that reads it whole asks for it. */
import { Buffer } from "node:buffer";

/**
 * too_large: larger than allowed; the rest is not read. no_room: `grow` refused more. too_slow: it arrived more slowly
 * than allowed. gone: the client disconnected before the end.
 */
export type Body = Buffer | "too_large" | "no_room" | "too_slow" | "gone";

/** More limits on reading a body. */
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
export const paceMs = 5_000;

/** Most bytes that are gathered before the body is requested. */
const maxUnaskedBytes = 65_536;

const nothing = Buffer.alloc(0);
const none: Buffer[] = [];

export class GatheredBody {
  #pieces: Buffer[] = none;
  #bytes = 0;
  #reader: Reader | null = null;
  #pace: NodeJS.Timeout | undefined;
  #gone = false;
  complete = false;
  /** Whether it was read whole. */
  read = false;

  /** Returns false to pause the socket until the body is requested. */
  add(piece: Buffer): boolean {
    // Most bodies come in one piece, and a literal takes less memory than an array that grows by `push`.
    if (this.#pieces.length === 0) this.#pieces = [piece];
    else this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#reader === null) return this.#bytes < maxUnaskedBytes;
    if (this.#bytes > this.#reader.maxBytes) this.#settle("too_large");
    else if (this.#reader.grow?.(this.#bytes) === false) this.#settle("no_room");
    else return true;
    return false;
  }

  end(): void {
    this.complete = true;
    if (this.#reader !== null) this.#settle(this.#joined());
  }

  /** The client disconnected. */
  lose(): void {
    this.#gone = true;
    this.#settle("gone");
  }

  /** Returns the whole body; synchronously if all of it has arrived. Call it only once, and resume the socket after. */
  whole(maxBytes: number, bounds: ReadBounds = {}): Body | Promise<Body> {
    if (this.#bytes > maxBytes) return "too_large";
    if (bounds.grow?.(this.#bytes) === false) return "no_room";
    if (this.complete) return this.#joined();
    if (this.#gone) return "gone";
    return new Promise((resolve) => {
      this.#reader = { ...bounds, maxBytes, resolve, seenBytes: this.#bytes };
      this.#watch();
    });
  }

  /** Removes and returns what was gathered so far. */
  take(): Buffer[] {
    const pieces = this.#pieces;
    this.#pieces = none;
    this.#bytes = 0;
    return pieces;
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
    this.read = true;
    const pieces = this.take();
    return pieces.length === 1 ? (pieces[0] ?? nothing) : Buffer.concat(pieces);
  }

  #settle(body: Body): void {
    const reader = this.#reader;
    this.#reader = null;
    clearInterval(this.#pace);
    reader?.resolve(body);
  }
}
