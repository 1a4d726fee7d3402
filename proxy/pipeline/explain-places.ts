/** Why each target has its place in the order, in the terms of the settings that put it there. For `explain`. */
import type { PlanRequest } from "../routing/routing.ts";
import { moveCost } from "../routing/session-targets.ts";
import { estimatedCost, sizeOf } from "../routing/strategies.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { RouteTarget } from "../snapshot/snapshot.ts";
import { inUsd } from "./budget-claims.ts";
import { resident } from "./route.ts";

/** Why a target has its position, in the terms of the setting that put it there. */
export function placedBy(target: ResolvedTarget, plan: PlanRequest, rule: number | null): string {
  const { routing } = plan.route.config;
  if (
    plan.preferred !== null &&
    (target.config.name === plan.preferred || target.config.provider.endsWith(`/${plan.preferred}`))
  )
    return "the caller prefers it";
  if (rule !== null) return `rule ${rule} names it`;
  if (routing.canary?.target === target.config.name)
    return `canary: gets ${routing.canary.percent} % of the requests, and is the last resort of the others`;
  if (routing.affinity !== null && routing.affinity.by !== "Session") return `affinity by ${routing.affinity.by}`;
  return byStrategy(target, plan);
}

function byStrategy(target: ResolvedTarget, plan: PlanRequest): string {
  const { routing } = plan.route.config;
  switch (routing.strategy) {
    case "Priority":
      return `Priority: ${target.config.priority}`;
    case "Weighted":
      return `Weighted: ${target.config.weight} of ${plan.targets.reduce((sum, target) => sum + target.config.weight, 0)}; the order is drawn for each request`;
    case "RoundRobin":
      return "RoundRobin: takes turns";
    case "LeastLatency":
      return "LeastLatency: as long as no proxy has samples, the policy's order";
    case "LeastCost":
      return byCost(target, plan);
  }
}

function byCost(target: ResolvedTarget, plan: PlanRequest): string {
  const size = sizeOf(plan, (candidate) => plan.cachedTokens?.(candidate) ?? 0);
  const cost = estimatedCost(target, size);
  if (cost === null) return "LeastCost: its price is not known";
  const cached = Math.min(size.promptTokens, size.cachedTokens(target));
  return `LeastCost: about ${inUsd(cost)} for this request${cached === 0 ? "" : `, with ${cached} of its tokens from the cache`}`;
}

/** How session affinity affects the place of a target. */
export function inSession(target: ResolvedTarget, first: ResolvedTarget | undefined, plan: PlanRequest): string {
  if (plan.route.config.routing.affinity?.by !== "Session") return "";
  if (plan.session === "") return "; affinity by Session has no effect, as the call names no session";
  if (first === undefined || target === first) return "; the session stays here";
  const tokens = plan.promptTokens();
  const cost = moveCost(first.model.config.price, target.model.config.price, tokens);
  const extra = cost === null ? "an unknown amount" : `about ${inUsd(cost)}`;
  return `; a session that moves here pays ${extra} more once, for ${tokens} prompt tokens that aren't in its cache`;
}

/** Why a target isn't asked. */
export function leftOut(
  target: RouteTarget,
  resolved: ResolvedTarget | undefined,
  plan: PlanRequest,
  rule: number | null,
): string {
  if (!resident(plan.route, target.entry))
    return `provider ${target.config.provider} is outside the regions that the policy's residency allows`;
  if (resolved === undefined)
    return plan.model === null
      ? "it has several models and the request names none"
      : `provider ${target.config.provider} has no model ${plan.model}`;
  if (rule !== null) return `rule ${rule} does not name it`;
  return `its context of ${resolved.model.config.contextTokens} tokens can't hold the prompt's ${plan.promptTokens()}`;
}
