/** Stage: where a call comes from, and whether the route is served there and now. */
import type { Countries } from "../access/countries.ts";
import { type Circumstances, firstRefusal } from "../access/rules.ts";
import type { Failure } from "../failure.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";

export function circumstances(
  client: ClientConnection,
  snapshot: Snapshot,
  countries: Countries,
  nowMs: number,
): Circumstances {
  const header = (name: string): string | null => client.header(name);
  const origin = snapshot.origins.of(client.remoteAddress, header);
  return {
    address: origin.address,
    header,
    nowMs,
    country: () =>
      snapshot.origins.country(origin, header) ?? (origin.address === null ? null : countries.of(origin.address)),
  };
}

/** Why nobody may use the route from there or at this time. Applies to calls and to the list of models. */
export function denyByLocation(route: Route, call: Circumstances): Failure | null {
  return firstRefusal(route.rules.place, call);
}

/** Why this call may not continue, independent of its caller. */
export function denyByOrigin(route: Route, call: Circumstances): Failure | null {
  return denyByLocation(route, call) ?? firstRefusal(route.rules.call, call);
}
