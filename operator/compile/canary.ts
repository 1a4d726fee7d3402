/**
 * `spec.routing.canary` → the share that is rendered, and what the judge needs. Progress comes in as an observed fact.
 * Pure.
 */
import { durationMs } from "../../crds/quantity.ts";
import type { CanarySpec } from "../../crds/types/canary.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import { canonicalJson } from "../../proxy/config/encode.ts";
import type { RouteConfig, TargetConfig } from "../../proxy/config/route.ts";
import { problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";
import type { CanaryFact } from "./world.ts";

export interface ReportedSide {
  requests: number;
  failures: number;
  priced: number;
  /** nano-USD. */
  cost: number;
  /** Responses by latency: one count for each bucket, and one for slower responses. */
  latency: number[];
}

export interface CanarySample {
  /** One run of one proxy; "" for runs that were added up because there were too many. */
  proxy: string;
  canary: ReportedSide;
  baseline: ReportedSide;
}

/** Counts of one canary in one run of one proxy. */
export interface CanaryReport {
  route: string;
  id: string;
  sample: CanarySample;
}

/** Bounds as numbers; null where unset. */
export interface Criteria {
  /** From 0 to 1. */
  errorRate: number | null;
  latencyP95Ms: number | null;
  /** 0.1 means a tenth more. */
  costIncrease: number | null;
}

/** A live canary, for the judge. */
export interface CanaryPlan {
  route: string;
  id: string;
  target: string;
  percent: number;
  forMs: number;
  minimumRequests: number;
  /** The only possible verdict is a rollback. */
  paused: boolean;
  succeedWhen: Criteria;
  rollBackWhen: Criteria;
}

const shareOf = (text: string | undefined): number | null =>
  text === undefined ? null : Number(text.slice(1, -1)) / 100;

const criteriaOf = (spec: CanarySpec["rollBackWhen"]): Criteria => ({
  errorRate: shareOf(spec?.errorRate),
  latencyP95Ms: spec?.latencyP95 === undefined ? null : durationMs(spec.latencyP95.slice(1)),
  costIncrease: shareOf(spec?.costIncrease),
});

/** 53 bits of cyrb53, in hex: only has to distinguish one canary from the next. */
function fingerprint(text: string): string {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return (4294967296 * (2097151 & low) + (high >>> 0)).toString(16);
}

/** A different target under the same name is a new canary. A paused one is the same. */
function identityOf({ paused: _, ...spec }: CanarySpec, target: TargetConfig): string {
  return fingerprint(canonicalJson({ spec, provider: target.provider, model: target.model }));
}

const sharesOf = { Promoted: 100, RolledBack: 0 } as const;

export function compileCanary(
  route: string,
  routing: RoutingPolicySpec["routing"],
  targets: readonly TargetConfig[],
  fact: CanaryFact | undefined,
  accepted: Problem[],
): { config: RouteConfig["routing"]["canary"]; plan: CanaryPlan | null } {
  const spec = routing.canary;
  const none = { config: null, plan: null };
  if (spec === undefined) return none;
  const path = ["spec", "routing", "canary", "target"];
  const names = routing.targets.map((target) => target.name ?? target.provider.name);
  if (!names.includes(spec.target)) {
    accepted.push(
      problem("TargetNotFound", `no target is named ${spec.target}; targets are ${names.join(", ")}`, path),
    );
    return none;
  }
  if (names.length === 1) {
    accepted.push(
      problem("Invalid", "a canary needs other targets to compare with; add the one that serves now to targets", path),
    );
    return none;
  }
  const target = targets.find((target) => target.name === spec.target);
  // Its target did not resolve, which is reported elsewhere; the others serve.
  if (target === undefined) return none;
  const id = identityOf(spec, target);
  const phase = fact?.id === id ? fact.phase : "Progressing";
  const plan: CanaryPlan = {
    route,
    id,
    target: spec.target,
    percent: spec.percent,
    forMs: durationMs(spec.for),
    minimumRequests: spec.minimumRequests,
    paused: spec.paused,
    succeedWhen: criteriaOf(spec.succeedWhen),
    rollBackWhen: criteriaOf(spec.rollBackWhen),
  };
  return {
    config: { id, target: spec.target, percent: phase === "Progressing" ? spec.percent : sharesOf[phase] },
    plan,
  };
}
