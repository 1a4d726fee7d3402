/**
 * Warns about wildcards in `match.models` that don't serve everything they match, because a name or a narrower wildcard
 * for the same callers takes precedence. Pure.
 */
import {
  byPrecision,
  isModelPattern,
  type ModelPattern,
  matchesPattern,
  modelPattern,
} from "../../proxy/config/model-pattern.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { maySee, sameCallers } from "./conflicts.ts";
import { namespaceOf, problem } from "./outcome.ts";
import type { Problem, VerdictDraft } from "./verdict.ts";

interface Claim {
  name: string;
  route: RouteConfig;
}

/** Most claims that one warning names. */
const maxNamed = 4;

/** Whether all that `narrow` matches is matched by `wide` and settled before it. */
const isNarrower = (narrow: ModelPattern, wide: ModelPattern): boolean =>
  narrow.text !== wide.text &&
  byPrecision(narrow, wide) < 0 &&
  narrow.prefix.startsWith(wide.prefix) &&
  narrow.suffix.endsWith(wide.suffix);

const takesFrom = (name: string, wide: ModelPattern): boolean =>
  isModelPattern(name) ? isNarrower(modelPattern(name), wide) : matchesPattern(wide, name);

/** Claims under one path prefix, sorted by name, so that names with a common prefix are adjacent. */
class Claims {
  readonly #sorted: readonly Claim[];

  constructor(claims: readonly Claim[]) {
    this.#sorted = claims.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  #first(prefix: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle]?.name ?? "") < prefix) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Claims that take precedence over the wildcard `wide` of `route`, for some of its callers. */
  before(route: RouteConfig, wide: ModelPattern): Claim[] {
    const claims: Claim[] = [];
    for (let index = this.#first(wide.prefix); index < this.#sorted.length && claims.length <= maxNamed; index++) {
      const claim = this.#sorted[index] as Claim;
      if (!claim.name.startsWith(wide.prefix)) break;
      if (takesFrom(claim.name, wide) && sameCallers(claim.route, route)) claims.push(claim);
    }
    return claims;
  }
}

function warning(route: RouteConfig, wide: string, claims: readonly Claim[]): Problem {
  const shown = claims.slice(0, maxNamed);
  const more = claims.length > maxNamed ? " and others" : "";
  const written = (seesAll: boolean): string =>
    shown
      .map(({ name, route: other }) => {
        if (other === route) return `${name} of its own`;
        const seen = seesAll || maySee(other, namespaceOf(route.id));
        return `${name} of ${seen ? `RoutingPolicy ${other.id}` : `a RoutingPolicy of namespace ${namespaceOf(other.id)}`}`;
      })
      .join(", ");
  const says = (seesAll: boolean): string =>
    `match.models has ${wide}, which also matches ${written(seesAll)}${more}; a name comes before a wildcard, and a longer prefix before a shorter one`;
  const path = ["spec", "match", "models"];
  return { ...problem("ModelsOverlap", says(false), path, "warning"), fullMessage: says(true) };
}

/** Adds a warning to the policy of each wildcard that others take models from. */
export function warnOverlaps(settled: readonly { verdict: VerdictDraft; config: RouteConfig }[]): void {
  const wild = settled.filter(({ config }) => config.models?.some(isModelPattern));
  if (wild.length === 0) return;
  const byPath = Map.groupBy(settled, ({ config }) => config.pathPrefix);
  const claims = new Map<string, Claims>();
  for (const { verdict, config } of wild) {
    const path = config.pathPrefix;
    let cached = claims.get(path);
    if (cached === undefined) {
      const routes = (byPath.get(path) ?? []).map((route) => route.config);
      cached = new Claims(routes.flatMap((route) => (route.models ?? []).map((name) => ({ name, route }))));
      claims.set(path, cached);
    }
    for (const name of (config.models ?? []).filter(isModelPattern)) {
      const claims = cached.before(config, modelPattern(name));
      if (claims.length > 0) verdict.accepted.push(warning(config, name, claims));
    }
  }
}
