/** Stage: reserves memory for the body before it is read. */
import { BodyPlace, type BodyRoom } from "../call/body-room.ts";
import type { Identity } from "../call/identity.ts";
import type { LimitConfig } from "../config/limits.ts";
import type { Failure } from "../failure.ts";
import type { PathEntry, Route } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import { offeredTo } from "./route.ts";

/** Initial reservation for a body of unknown length; it grows with the body. */
const firstBytes = 65_536;

const none: readonly LimitConfig[] = [];

/**
 * The lowest concurrency limit. Limits per session don't count: a caller may have any number of sessions, and the body
 * may name them.
 */
function fewest(limits: readonly LimitConfig[]): number {
  let least = Infinity;
  for (const { of, per, amount } of limits)
    if (of === "Concurrency" && per !== "Session") least = Math.min(least, amount);
  return least;
}

/**
 * How many calls of this caller can be in flight, by the limits known before the body names a model: those of its key
 * and of the policies that it may call. No more bodies than that are read.
 */
function maxArriving(path: PathEntry, identity: Identity): number {
  const ofKey = identity.anonymous ? Infinity : fewest(identity.key.limits ?? none);
  let ofPolicies = 0;
  const { routes } = path;
  for (let index = 0; index < routes.length && ofPolicies !== Infinity; index++) {
    const route = routes[index] as Route;
    if (offeredTo(route, identity)) ofPolicies += fewest(route.config.limits);
  }
  return ofPolicies === 0 ? ofKey : Math.min(ofKey, ofPolicies);
}

/** Callers without a key are distinguished by address. */
export const roomOwner = (identity: Identity, address: string): string =>
  identity.anonymous ? `anonymous ${address}` : `key ${identity.key.id}`;

/** Reserves memory for the body. Bodies larger than `maxBytes` are refused when they are read. */
export function bodyPlace(
  client: ClientConnection,
  room: BodyRoom,
  path: PathEntry,
  identity: Identity,
  address: string,
  maxBytes: number,
): BodyPlace | Failure {
  const announced = client.header("content-length");
  const bytes = announced === null ? firstBytes : Number(announced);
  return room.place(roomOwner(identity, address), Math.min(bytes, maxBytes), maxArriving(path, identity));
}

export const isPlace = (place: BodyPlace | Failure): place is BodyPlace => place instanceof BodyPlace;
