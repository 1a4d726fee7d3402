/**
 * How many bytes of request bodies a proxy holds at once, in all and for one caller. Asked before a body is read, so
 * that uploads which never end, or too many at once, are refused instead of filling the memory.
 */
import { type Failure, failure } from "../failure.ts";

export interface BodyBounds {
  /** Bytes of all bodies together. */
  maxHeldBytes: number;
  /** Bytes of one caller's. A body that is alone may be larger. */
  maxCallerBytes: number;
}

interface Held {
  bytes: number;
  /** Bodies that are not all there yet. */
  arriving: number;
}

const retryAfterMs = 1_000;

export const overloaded = failure(
  "overloaded",
  "The gateway holds as many request bodies as it has memory for. Try again in a moment.",
  { retryAfterMs },
);

const ofCaller = (bytes: number): Failure =>
  failure(
    "rate_limit_exceeded",
    `The bodies of this caller's requests under way may be ${bytes} bytes together. Try again when one has ended, or ask the platform team to raise proxy.bodies.maxCallerBytes in the gateway's Helm values.`,
    { retryAfterMs },
  );

const arrivingOf = (most: number): Failure =>
  failure(
    "rate_limit_exceeded",
    `At most ${most} calls of this caller may be under way at once, and as many are still being sent. Try again when one has ended.`,
    { retryAfterMs },
  );

/** What one call holds. */
export class BodyPlace {
  readonly #room: BodyRoom;
  readonly #held: Held;
  readonly #caller: string;
  #bytes = 0;
  #arriving = true;

  constructor(room: BodyRoom, caller: string, held: Held) {
    this.#room = room;
    this.#caller = caller;
    this.#held = held;
    held.arriving++;
  }

  /** Takes room until the body has `bytes`; why there is none. */
  grow(bytes: number): Failure | null {
    const more = bytes - this.#bytes;
    if (more <= 0) return null;
    const refused = this.#room.take(this.#held, more);
    if (refused === null) this.#bytes = bytes;
    return refused;
  }

  /** The body is all there, or never will be. */
  arrived(): void {
    if (this.#arriving) this.#held.arriving--;
    this.#arriving = false;
  }

  /** The call is over. Once. */
  release(): void {
    this.arrived();
    this.#room.give(this.#caller, this.#held, this.#bytes);
    this.#bytes = 0;
  }
}

export class BodyRoom {
  readonly #bounds: BodyBounds;
  readonly #callers = new Map<string, Held & { calls: number }>();
  #bytes = 0;

  constructor(bounds: BodyBounds) {
    this.#bounds = bounds;
  }

  /** Bytes of all bodies that are held. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** A place for a body of `bytes`; `most`: so many of the caller's may be arriving at once. */
  place(caller: string, bytes: number, most: number): BodyPlace | Failure {
    const held = this.#callers.get(caller) ?? { bytes: 0, arriving: 0, calls: 0 };
    if (held.arriving >= most) return arrivingOf(most);
    const refused = this.#refusal(held, bytes);
    if (refused !== null) return refused;
    this.#callers.set(caller, held);
    held.calls++;
    const place = new BodyPlace(this, caller, held);
    place.grow(bytes);
    return place;
  }

  #refusal(held: Held, bytes: number): Failure | null {
    if (held.bytes > 0 && held.bytes + bytes > this.#bounds.maxCallerBytes)
      return ofCaller(this.#bounds.maxCallerBytes);
    return this.#bytes > 0 && this.#bytes + bytes > this.#bounds.maxHeldBytes ? overloaded : null;
  }

  take(held: Held, bytes: number): Failure | null {
    const refused = this.#refusal(held, bytes);
    if (refused !== null) return refused;
    held.bytes += bytes;
    this.#bytes += bytes;
    return null;
  }

  give(caller: string, held: Held, bytes: number): void {
    held.bytes -= bytes;
    this.#bytes -= bytes;
    const entry = this.#callers.get(caller);
    if (entry !== undefined && --entry.calls <= 0) this.#callers.delete(caller);
  }
}
