/** The rule and the targets that a plan selects, and why it skips the others. For `explain`. */
import type { Shaped } from "../call/shaped.ts";
import type { FailureCode } from "../failure.ts";
import type { PlanRequest } from "../routing/routing.ts";
import { holds, matchesRule, unmet } from "../routing/rules.ts";
import { TargetRouting } from "../routing/target-routing.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";
import { inUsd } from "./budget-claims.ts";
import { inSession, leftOut, placedBy } from "./explain-places.ts";
import { serverOf } from "./explain-pools.ts";
import { prepare } from "./prepare.ts";
import { copyTarget } from "./shadow-copy.ts";

export interface RuleReport {
  /** Counted from 1. */
  rule: number;
  decides: boolean;
  why: string;
}

export interface TargetReport {
  target: string;
  provider: string;
  /** The provider's own name for the model; null if it has no matching model. */
  upstreamModel: string | null;
  /** Position in the order, from 1; null if it would not be asked. */
  place: number | null;
  why: string;
  /** The failure if this target were asked; null if it could serve. */
  refuses: string | null;
  /** Code of that failure. */
  code: FailureCode | null;
  /** Parameters that would be dropped. */
  dropped: string[];
  /** Which server of the target's pool takes the call, and why; null if its provider isn't a pool. */
  server: string | null;
}

export function ruleReports(plan: PlanRequest): RuleReport[] {
  let decided = false;
  return plan.route.config.routing.rules.map(({ when }, index) => {
    const holdsAll = matchesRule(when, plan);
    const decides = holdsAll && !decided;
    const why = decides
      ? "every condition holds"
      : holdsAll
        ? "an earlier rule decides"
        : `does not match: ${unmet(when, plan).join(", ")}`;
    decided ||= decides;
    return { rule: index + 1, decides, why };
  });
}

function attempt(
  shaped: Shaped,
  target: ResolvedTarget,
  nowMs: number,
): Pick<TargetReport, "refuses" | "code" | "dropped"> {
  const prepared = prepare(shaped.forTarget(target.config), target, {
    requestId: "explain",
    nowMs,
    deadlineMs: target.entry.account.config.timeouts.totalMs,
    forwarded: {},
  });
  return "outgoing" in prepared
    ? { refuses: null, code: null, dropped: prepared.dropped }
    : { refuses: prepared.message, code: prepared.code, dropped: [] };
}

type AskedReport = Pick<TargetReport, "refuses" | "code" | "dropped" | "server">;

const unresolved: AskedReport = { refuses: null, code: null, dropped: [], server: null };

const asked = (shaped: Shaped, target: ResolvedTarget, { session }: PlanRequest, nowMs: number): AskedReport => ({
  ...attempt(shaped, target, nowMs),
  server: serverOf(target, shaped, session),
});

/** The share of such calls that is copied, and to where; null if the policy has no shadow. */
export function shadowReport({ shadow }: Route, shaped: Shaped, nowMs: number): string | null {
  if (shadow === null) return null;
  const { percent, nanoUsdPerDay } = shadow.terms;
  const target = copyTarget(shadow, shaped.model);
  const where = shadow.config.provider;
  if (target === null)
    return `nothing is copied: provider ${where} has no model ${shaped.model ?? "for a call without one"}`;
  const { refuses, dropped } = attempt(shaped, target, nowMs);
  const limit = nanoUsdPerDay === null ? "" : `, as long as copies cost at most ${inUsd(nanoUsdPerDay)} a day`;
  const without = dropped.length === 0 ? "" : `; without ${dropped.join(", ")}`;
  const refusal = refuses === null ? "" : `; would refuse: ${refuses}`;
  return `${percent} % of answered calls are copied to ${where} ${target.model.config.upstream}${limit}${refusal}${without}`;
}

export function plannedOrder(plan: PlanRequest, nowMs: number): readonly ResolvedTarget[] {
  // Shows a canary at the position that it has for most requests.
  const luck = plan.route.config.routing.canary === null ? 0 : 0.999_999;
  return new TargetRouting({ nowMs: () => nowMs, random: () => luck }).plan(plan);
}

/** Draws to try for a Weighted order or a canary: enough to find shares of 0.1 %. */
const draws = 1_000;

/** The targets that may be asked first, where chance or turns decide. */
export function possibleFirsts(
  plan: PlanRequest,
  admitted: readonly ResolvedTarget[],
  nowMs: number,
): ReadonlySet<ResolvedTarget> {
  let draw = 0;
  const routing = new TargetRouting({ nowMs: () => nowMs, random: () => draw / draws });
  const firsts = new Set(admitted.slice(0, 1));
  const { strategy, canary } = plan.route.config.routing;
  if (canary === null && strategy !== "Weighted" && strategy !== "RoundRobin") return firsts;
  for (draw = 0; draw < draws; draw++) {
    const first = routing.plan(plan).find((target) => admitted.includes(target));
    if (first !== undefined) firsts.add(first);
  }
  return firsts;
}

/** `order`: the targets that could be asked. `admitted`: those of them that budgets have room for. */
export function targetReports(
  shaped: Shaped,
  plan: PlanRequest,
  { order, admitted }: { order: readonly ResolvedTarget[]; admitted: readonly ResolvedTarget[] },
  rules: readonly RuleReport[],
  nowMs: number,
): TargetReport[] {
  const rule = rules.find((rule) => rule.decides)?.rule ?? null;
  const reports = plan.route.targets.map((target): TargetReport => {
    const resolved = plan.targets.find((resolvedTarget) => resolvedTarget.config.name === target.config.name);
    const index = admitted.findIndex((resolvedTarget) => resolvedTarget.config.name === target.config.name);
    const placed = index >= 0 && resolved !== undefined;
    const isPriced = !placed && resolved !== undefined && order.includes(resolved);
    const small = placed && !holds(resolved, plan) ? "; no target's context can hold the prompt" : "";
    return {
      target: target.config.name,
      provider: target.config.provider,
      upstreamModel: resolved?.model.config.upstream ?? null,
      place: placed ? index + 1 : null,
      why: placed
        ? placedBy(resolved, plan, rule) + inSession(resolved, admitted[0], plan) + small
        : isPriced
          ? "a hard budget has no room for it"
          : leftOut(target, resolved, plan, rule),
      ...(resolved === undefined ? unresolved : asked(shaped, resolved, plan, nowMs)),
    };
  });
  return reports.sort((a, b) => (a.place ?? Number.POSITIVE_INFINITY) - (b.place ?? Number.POSITIVE_INFINITY) || 0);
}
