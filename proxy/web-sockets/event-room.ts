/**
 * The memory that a connection's events take until they are served: one that is still arriving, and those that wait for
 * their turn. It comes out of the room for request bodies, so that stalled events don't fill the memory.
 */
import type { BodyPlace } from "../call/body-room.ts";
import type { Failure } from "../failure.ts";

/** Most bytes of a frame's head (RFC 6455, section 5.2). */
const frameHead = 14;

export class EventRoom {
  readonly #place: BodyPlace;
  /** The fewest bytes of an event that must arrive between two looks. */
  readonly #leastPerLook: number;
  #arriving = 0;
  #waiting = 0;
  /** Bytes that arrived since the last look. */
  #came = 0;
  #slowLooks = 0;

  constructor(place: BodyPlace, leastPerLook: number) {
    // It is no body that is being received, of which a caller may have only some.
    place.arrived();
    this.#place = place;
    this.#leastPerLook = leastPerLook;
  }

  /** Call before what arrived is read. Returns the failure if there is no room for it. */
  came(bytes: number): Failure | null {
    this.#came += bytes;
    this.#arriving += bytes;
    return this.#place.hold(this.#arriving + this.#waiting);
  }

  /** A whole message or control frame was read. */
  read(bytes: number): void {
    this.#arriving = Math.max(0, this.#arriving - bytes - frameHead);
  }

  waits(bytes: number): void {
    this.#waiting += bytes;
  }

  begins(bytes: number): void {
    this.#waiting -= bytes;
    this.#place.hold(this.#arriving + this.#waiting);
  }

  /** Whether an event arrives too slowly, at the second look in a row. `paused`: the client isn't read. */
  isSlow(paused: boolean): boolean {
    const isSlow = !paused && this.#arriving > frameHead && this.#came < this.#leastPerLook;
    this.#came = 0;
    this.#slowLooks = isSlow ? this.#slowLooks + 1 : 0;
    return this.#slowLooks > 1;
  }

  release(): void {
    this.#place.release();
  }
}
