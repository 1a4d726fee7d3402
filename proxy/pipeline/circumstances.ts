/** Stage: where a call comes from, and whether the route is served there and now. */
import type { CallerOrigin, Origins } from "../access/client-address.ts";
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
  return new CallCircumstances(client, snapshot.origins, countries, nowMs);
}

class CallCircumstances implements Circumstances {
  readonly nowMs: number;
  readonly #client: ClientConnection;
  readonly #origins: Origins;
  readonly #origin: CallerOrigin;
  readonly #countries: Countries;

  constructor(client: ClientConnection, origins: Origins, countries: Countries, nowMs: number) {
    this.nowMs = nowMs;
    this.#client = client;
    this.#origins = origins;
    this.#origin = origins.of(client.remoteAddress, client);
    this.#countries = countries;
  }

  get address(): string | null {
    return this.#origin.address;
  }

  header(name: string): string | null {
    return this.#client.header(name);
  }

  country(): string | null {
    const { address } = this.#origin;
    return this.#origins.country(this.#origin, this.#client) ?? (address === null ? null : this.#countries.of(address));
  }
}

/** Why nobody may use the route from there or at this time. Applies to calls and to the list of models. */
export function denyByLocation(route: Route, call: Circumstances): Failure | null {
  return firstRefusal(route.rules.place, call);
}

/** Why this call may not continue, independent of its caller. */
export function denyByOrigin(route: Route, call: Circumstances): Failure | null {
  return denyByLocation(route, call) ?? firstRefusal(route.rules.call, call);
}
