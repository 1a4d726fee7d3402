/** Which targets a policy's calls go to first, and in what shares, while all are healthy. Pure. */
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { PlanRequest } from "./routing.ts";
import { eligible, fitting } from "./rules.ts";
import { affine, byPriority, drawnBy, leastCost, roundRobin, sizeOf } from "./strategies.ts";

export interface TargetShare {
  target: ResolvedTarget;
  /** 0 to 1. The shares of a plan add up to 1, unless it has no target. */
  share: number;
}

type Targets = readonly ResolvedTarget[];

const whole = ([first]: Targets): TargetShare[] => (first === undefined ? [] : [{ target: first, share: 1 }]);
const equal = (targets: Targets): TargetShare[] => targets.map((target) => ({ target, share: 1 / targets.length }));

function byWeight(targets: Targets): TargetShare[] {
  const total = targets.reduce((sum, { config }) => sum + config.weight, 0);
  if (total === 0) return whole(targets);
  return targets.map((target) => ({ target, share: target.config.weight / total }));
}

/** The turn of a target that is left out goes to the next one. */
function byTurns(targets: Targets, leftOut: ResolvedTarget | undefined): TargetShare[] {
  const firsts = targets.flatMap((_, turn) => roundRobin(targets, turn).find((target) => target !== leftOut) ?? []);
  const counts = Map.groupBy(firsts, (target) => target);
  return [...counts].map(([target, turns]) => ({ target, share: turns.length / firsts.length }));
}

/** How the strategy spreads calls. Latencies are not known, so LeastLatency counts as equal shares. */
function byStrategy(request: PlanRequest, targets: Targets, leftOut: ResolvedTarget | undefined): TargetShare[] {
  const rest = targets.filter((target) => target !== leftOut);
  switch (request.route.config.routing.strategy) {
    case "Priority":
      return whole(byPriority(rest));
    case "LeastCost":
      return whole(leastCost(rest, sizeOf(request)));
    case "Weighted":
      return byWeight(rest);
    case "RoundRobin":
      return byTurns(targets, leftOut);
    case "LeastLatency":
      return equal(rest);
  }
}

/** null if calls are not kept on a target; "unknown" if they are kept by a header. */
function affinityOf({ route, identity }: PlanRequest): { subject: string } | "unknown" | null {
  const { affinity } = route.config.routing;
  // Sessions start at the target that the strategy selects.
  if (affinity === null || affinity.by === "Session") return null;
  if (affinity.by === "Header") return "unknown";
  if (identity.anonymous) return null;
  return { subject: affinity.by === "User" ? identity.key.user : identity.key.id };
}

/** Callers whose subject isn't known are spread evenly. */
const keptOnTarget = (targets: Targets, affinity: { subject: string } | "unknown"): TargetShare[] =>
  affinity === "unknown" ? equal(targets) : whole(affine(targets, affinity.subject));

/** Takes headers as unknown. */
export function firstShares(request: PlanRequest): TargetShare[] {
  const { targets, ordered } = eligible(request);
  const affinity = affinityOf(request);
  if (ordered) return affinity === null ? whole(targets) : keptOnTarget(targets, affinity);
  const fits = fitting(request, targets);
  const { canary } = request.route.config.routing;
  const tried = fits.find(({ config }) => config.name === canary?.target);
  const rest = fits.filter((target) => target !== tried);
  const spread = affinity === null ? byStrategy(request, fits, tried) : keptOnTarget(rest, affinity);
  if (canary === null || tried === undefined) return spread;
  if (spread.length === 0) return whole([tried]);
  // Callers that are kept on a target are also kept on one side of the canary.
  const kept = affinity !== null && affinity !== "unknown" ? 100 * drawnBy(affinity.subject, canary.id) : null;
  const share = kept === null ? canary.percent / 100 : Number(kept < canary.percent);
  return [{ target: tried, share }, ...spread.map((rest) => ({ ...rest, share: rest.share * (1 - share) }))];
}
