/**
 * Limits how many bytes of request bodies a proxy holds at once, in total and per caller. Room is taken before a body
 * is read, so that endless or too many uploads are refused instead of filling the memory.
 */
import { nounCount } from "../config/noun-count.ts";
import { type Failure, failure } from "../failure.ts";

export interface BodyBounds {
  /** Bytes of all bodies together. */
  maxHeldBytes: number;
  /** Bytes of one caller's bodies. A caller's only body may be larger. */
  maxCallerBytes: number;
}

interface Held {
  bytes: number;
  /** Bodies still being received. */
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
    `The bodies of this caller's requests in progress may total at most ${bytes} bytes. Try again when one has ended, or ask the platform team to raise proxy.bodies.maxCallerBytes in the gateway's Helm values.`,
    { retryAfterMs },
  );

const arrivingOf = (most: number): Failure =>
  failure(
    "rate_limit_exceeded",
    `This caller may have at most ${nounCount(most, "request")} in progress, and the gateway is still receiving as many. Try again when one has ended.`,
    { retryAfterMs },
  );

/** The room that one call holds. */
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

  /** Takes room for a body that has grown to `bytes`. Returns the failure if there is none. */
  grow(bytes: number): Failure | null {
    const more = bytes - this.#bytes;
    if (more <= 0) return null;
    const refused = this.#room.take(this.#held, more);
    if (refused === null) this.#bytes = bytes;
    return refused;
  }

  /** Takes or gives back room, so that the place has this many bytes. Returns the failure if there is none. */
  hold(bytes: number): Failure | null {
    if (bytes >= this.#bytes) return this.grow(bytes);
    this.#room.giveBack(this.#held, this.#bytes - bytes);
    this.#bytes = bytes;
    return null;
  }

  /** Call when the body is complete or won't be. */
  arrived(): void {
    if (this.#arriving) this.#held.arriving--;
    this.#arriving = false;
  }

  /** Call when the request has ended. Later calls free nothing. */
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

  /** Bytes of all bodies held. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** Takes a place for a body of `bytes`. `most`: how many of the caller's bodies may be arriving at once. */
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

  giveBack(held: Held, bytes: number): void {
    held.bytes -= bytes;
    this.#bytes -= bytes;
  }

  give(caller: string, held: Held, bytes: number): void {
    this.giveBack(held, bytes);
    const entry = this.#callers.get(caller);
    if (entry !== undefined && --entry.calls <= 0) this.#callers.delete(caller);
  }
}
