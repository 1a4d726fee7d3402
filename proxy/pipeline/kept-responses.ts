/** Items of Responses that are kept for the caller's next request: which calls may use them, and under which names. */
import { type ItemNames, keepItems, refersToItems, resolveItems } from "../cache/kept-items.ts";
import type { Identity, KeyIdentity } from "../call/identity.ts";
import type { Shaped } from "../call/shaped.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { CallState } from "./call-state.ts";
import type { DispatchRequest } from "./dispatch-request.ts";

/** Kept items would bypass the policy's guard. */
const mayKeep = ({ guard, masker }: Route): boolean => guard === null && masker === null;

const namesFor = (call: CallState, identity: KeyIdentity): ItemNames => ({
  namespace: identity.namespace,
  keyOf: (id) => call.ofCaller(identity, `item ${id}`),
});

/** Replaces references with the kept items; null if there are none. */
export function withKeptItems(
  call: CallState,
  shaped: Shaped,
  route: Route,
  identity: Identity,
): Promise<unknown> | null {
  if (identity.anonymous || !refersToItems(shaped) || !mayKeep(route)) return null;
  return resolveItems(shaped, call.gateway.cache.store, namesFor(call, identity));
}

/** Callers who set `store` to false send items whole. */
export function keeperOf(
  call: CallState,
  { format, received, compaction }: Shaped,
  route: Route,
  identity: Identity,
): DispatchRequest["keepItems"] {
  if (format !== "openai.responses" || compaction !== null || identity.anonymous || received.json["store"] === false)
    return undefined;
  return mayKeep(route) ? keeper(call, identity) : undefined;
}

function keeper(call: CallState, identity: KeyIdentity): NonNullable<DispatchRequest["keepItems"]> {
  const { cache, nowMs } = call.gateway;
  return (items) => keepItems(cache.store, items, namesFor(call, identity), nowMs());
}
