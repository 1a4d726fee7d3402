/** `spec.routing.shadow` → where copies of calls go, and within which limits. Pure. */
import { decimalToNano } from "../../crds/quantity.ts";
import type { RouteConfig, ShadowConfig, TargetConfig } from "../../proxy/config/route.ts";
import { notResident } from "./access.ts";
import { isError, own, problem } from "./outcome.ts";
import { checkTargetParameters } from "./target-parameters.ts";
import { resolveTarget, type TargetContext } from "./targets.ts";
import type { Problem } from "./verdict.ts";

const path = ["spec", "routing", "shadow", "target"];

/** Copies to a target that also answers compare it with itself, and count in its health. */
function warnSame(target: TargetConfig, targets: readonly TargetConfig[], accepted: Problem[]): void {
  const same = targets.find(
    ({ provider, model }) => provider === target.provider && (model === target.model || model === null),
  );
  if (same === undefined) return;
  const message = `the shadow is the same provider and model as target ${same.name}: it compares the target with itself, and its failures count against the target; name another`;
  accepted.push(problem("Invalid", message, path, "warning"));
}

/** A limit on money can't count copies without a price, so they are not made. */
function warnUnpriced(target: TargetConfig, { policy, view }: TargetContext, accepted: Problem[]): void {
  const models = view.live.get(target.provider)?.models ?? {};
  const requested = target.model === null ? Object.keys(models) : [target.model];
  const unpriced = requested.filter((name) => own(models, name)?.price === null);
  if (policy.spec.routing.shadow?.costPerDay === undefined || unpriced.length === 0) return;
  const message = `no price is known for ${unpriced.slice(0, 16).join(", ")} of LLMProvider ${target.provider}: with costPerDay, calls to it are not copied; set the price in its spec.models`;
  accepted.push(problem("Invalid", message, [...path.slice(0, -1), "costPerDay"], "warning"));
}

/**
 * null if the policy has none, or if its target can't be used: then nothing is copied, and `refs` says why. `targets`:
 * those that answer.
 */
export function compileShadow(
  context: TargetContext,
  targets: readonly TargetConfig[],
  regions: RouteConfig["access"]["regions"],
  accepted: Problem[],
  refs: Problem[],
): ShadowConfig | null {
  const spec = context.policy.spec.routing.shadow;
  if (spec === undefined) return null;
  const parameters = checkTargetParameters(spec.target.parameters, [...path, "parameters"]);
  accepted.push(...parameters);
  const target = resolveTarget({ ...spec.target, name: "shadow", priority: 1, weight: 1 }, path, context, refs);
  if ("reason" in target) {
    refs.push(target);
    return null;
  }
  const provider = context.view.live.get(target.provider);
  const why = provider === undefined ? null : notResident(regions, provider);
  if (why !== null) {
    refs.push(problem("NotResident", `no calls are copied: ${why}, also to a shadow`, path));
    return null;
  }
  if (parameters.some(isError)) return null;
  warnSame(target, targets, accepted);
  warnUnpriced(target, context, accepted);
  return {
    target,
    percent: spec.percent,
    maxConcurrent: spec.maxConcurrent,
    nanoUsdPerDay: spec.costPerDay === undefined ? null : decimalToNano(spec.costPerDay),
  };
}
