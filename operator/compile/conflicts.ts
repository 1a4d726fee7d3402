/**
 * Settles conflicts between policies that claim the same path or model. A path prefix belongs to the namespace that
 * claimed it first; between two policies that claim the same model under the same path for the same callers, the older
 * one wins. The loser's status names the winner.
 */
import type { RouteConfig } from "../../proxy/config/route.ts";
import { namespaceOf, problem } from "./outcome.ts";
import { PrefixHolders } from "./path-prefixes.ts";
import type { Problem } from "./verdict.ts";

/** A caller with a key is served by namespace; one without a key by open policies only. */
export const sameCallers = (a: RouteConfig, b: RouteConfig): boolean => {
  if (a.access.anonymous && b.access.anonymous) return true;
  if (a.consumers === "*" || b.consumers === "*") return true;
  const names = b.consumers;
  return a.consumers.some((name) => names.includes(name));
};

/** Callers of a namespace see the policies that serve them, so its members may know these by name, and no others. */
export const maySee = (route: RouteConfig, namespace: string): boolean =>
  namespaceOf(route.id) === namespace || route.consumers === "*" || route.consumers.includes(namespace);

/** `says`: builds the sentence about the winner from its name. */
function conflicted(
  winner: RouteConfig,
  loser: RouteConfig,
  says: (winner: string) => string,
  path: (string | number)[],
): Problem {
  const full = says(`RoutingPolicy ${winner.id}`);
  if (maySee(winner, namespaceOf(loser.id))) return problem("Conflicted", full, path);
  const message = says(`a RoutingPolicy of namespace ${namespaceOf(winner.id)}`);
  return { ...problem("Conflicted", message, path), fullMessage: full };
}

/**
 * Gives each prefix to one namespace. `claims`: in the order in which they were made, so that the holder of a prefix
 * keeps it. Returns the problem of each route whose prefix belongs to another namespace.
 */
export function settlePrefixes(claims: readonly RouteConfig[]): Map<RouteConfig, Problem> {
  const holders = new PrefixHolders();
  const problems = new Map<RouteConfig, Problem>();
  for (const route of claims) {
    const holder = holders.claim(route);
    if (holder === null) continue;
    const owner = namespaceOf(holder.id);
    const says = (winner: string): string =>
      `${winner} claimed ${holder.pathPrefix} first, so the path prefix ${route.pathPrefix} belongs to namespace ${owner}; choose one that does not overlap with it`;
    problems.set(route, conflicted(holder, route, says, ["spec", "match", "pathPrefix"]));
  }
  return problems;
}

export interface SettledClaims {
  /** The route with what it may keep; null if nothing is left. */
  config: RouteConfig | null;
  problems: Problem[];
}

/** Routes by claim, so that a thousand policies don't cost a million comparisons. */
export class RouteClaims {
  readonly #claims = new Map<string, RouteConfig[]>();

  /** Call it with the oldest route first. */
  settle(route: RouteConfig): SettledClaims {
    const problems: Problem[] = [];
    const kept: string[] = [];
    const lost = new Map<RouteConfig, string[]>();
    for (const model of route.models ?? ["*"]) {
      const winner = this.#claim(`${route.pathPrefix}\n${model === "*" ? "" : model}`, route);
      if (winner === null) kept.push(model);
      else lost.set(winner, [...(lost.get(winner) ?? []), model]);
    }
    for (const [winner, models] of lost) {
      const what = route.models === null ? `every model under ${route.pathPrefix}` : models.join(", ");
      const says = (name: string): string => `${name} is older and already serves ${what} to the same callers`;
      problems.push(conflicted(winner, route, says, ["spec", "match"]));
    }
    if (kept.length === 0) return { config: null, problems };
    const resources = this.#resources(route, problems);
    return { config: { ...route, models: route.models === null ? null : kept, resources }, problems };
  }

  /** The older route that already holds the claim; null if this route holds it now. */
  #claim(what: string, route: RouteConfig): RouteConfig | null {
    const rivals = this.#claims.get(what) ?? [];
    const winner = rivals.find((other) => sameCallers(other, route));
    if (winner === undefined) this.#claims.set(what, [...rivals, route]);
    return winner ?? null;
  }

  #resources(route: RouteConfig, problems: Problem[]): RouteConfig["resources"] {
    if (route.resources === null) return null;
    const { api = "" } = route.resources;
    const kinds = route.resources.kinds.filter((kind) => {
      const winner = this.#claim(`${route.pathPrefix}\n\n${api}${kind}`, route);
      const says = (name: string): string => `${name} is older and already passes ${kind} through for the same callers`;
      if (winner !== null) problems.push(conflicted(winner, route, says, ["spec", "resources"]));
      return winner === null;
    });
    return kinds.length === 0 ? null : { ...route.resources, kinds };
  }
}
