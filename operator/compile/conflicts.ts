/**
 * Two policies that claim the same model under the same path for the same callers: the older one serves it, and the
 * younger one's status says so. Open policies meet everybody, whatever namespaces they name.
 */
import type { RouteConfig } from "../../proxy/config/route.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";

const overlaps = (a: RouteConfig, b: RouteConfig): boolean => {
  if (a.access.anonymous || b.access.anonymous || a.consumers === "*" || b.consumers === "*") return true;
  const names = b.consumers;
  return a.consumers.some((name) => names.includes(name));
};

export interface SettledClaims {
  /** The route with what it may keep; null where nothing is left. */
  config: RouteConfig | null;
  problems: Problem[];
}

/** Routes by claim, so that a thousand policies don't cost a million comparisons. */
export class RouteClaims {
  readonly #claims = new Map<string, RouteConfig[]>();

  /** To be called oldest first. */
  settle(route: RouteConfig): SettledClaims {
    const problems: Problem[] = [];
    const kept: string[] = [];
    const claimed = route.models ?? ["*"];
    const lost = new Map<string, string[]>();
    for (const model of claimed) {
      const key = `${route.pathPrefix}\n${model === "*" ? "" : model}`;
      const rivals = this.#claims.get(key) ?? [];
      const winner = rivals.find((other) => overlaps(other, route));
      if (winner === undefined) {
        kept.push(model);
        this.#claims.set(key, [...rivals, route]);
      } else lost.set(winner.id, [...(lost.get(winner.id) ?? []), model]);
    }
    for (const [winner, models] of lost) {
      const what = route.models === null ? `every model under ${route.pathPrefix}` : models.join(", ");
      problems.push(
        problem("Conflicted", `RoutingPolicy ${winner} is older and already serves ${what} to the same callers`, [
          "spec",
          "match",
        ]),
      );
    }
    if (kept.length === 0) return { config: null, problems };
    const resources = this.#resources(route, problems);
    return { config: { ...route, models: route.models === null ? null : kept, resources }, problems };
  }

  #resources(route: RouteConfig, problems: Problem[]): RouteConfig["resources"] {
    if (route.resources === null) return null;
    const kinds = route.resources.kinds.filter((kind) => {
      const key = `${route.pathPrefix}\n\n${kind}`;
      const rivals = this.#claims.get(key) ?? [];
      const winner = rivals.find((other) => overlaps(other, route));
      if (winner === undefined) this.#claims.set(key, [...rivals, route]);
      else
        problems.push(
          problem(
            "Conflicted",
            `RoutingPolicy ${winner.id} is older and already passes ${kind} through for the same callers`,
            ["spec", "resources"],
          ),
        );
      return winner === undefined;
    });
    return kinds.length === 0 ? null : { ...route.resources, kinds };
  }
}
