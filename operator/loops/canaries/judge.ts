/**
 * Judges canaries, from the earlier state, the proxies' current reports and the time. Pure.
 *
 * Each proxy counts since it started, under a name of that run. The newest counts of a run replace the earlier ones,
 * so reading them twice adds nothing, and a restarted proxy is a new run next to its old one.
 */

import { canaryLatencyBoundsMs } from "../../../proxy/config/canary.ts";
import { nounCount } from "../../../proxy/config/noun-count.ts";
import type { CanaryPlan, CanarySample, Criteria, ReportedSide } from "../../compile/canary.ts";
import type { CanaryPhase } from "../../compile/world.ts";

export interface CanaryProgress {
  id: string;
  phase: CanaryPhase;
  target: string;
  startedAtMs: number;
  decidedAtMs: number | null;
  verdict: string;
  /** The time is over, but there were too few requests. */
  waiting: boolean;
  samples: CanarySample[];
}

export interface Measured {
  requests: number;
  errorRate: number | null;
  latencyP95Ms: number | null;
  costIncrease: number | null;
}

const maxSamples = 48;

const empty = (): ReportedSide => ({ requests: 0, failures: 0, priced: 0, cost: 0, latency: [] });

function plus(a: ReportedSide, b: ReportedSide): ReportedSide {
  const latency = Array.from(
    { length: Math.max(a.latency.length, b.latency.length) },
    (_, index) => (a.latency[index] ?? 0) + (b.latency[index] ?? 0),
  );
  return {
    requests: a.requests + b.requests,
    failures: a.failures + b.failures,
    priced: a.priced + b.priced,
    cost: a.cost + b.cost,
    latency,
  };
}

function added(samples: readonly CanarySample[]): CanarySample {
  const canary = samples.map((sample) => sample.canary).reduce(plus, empty());
  return { proxy: "", canary, baseline: samples.map((sample) => sample.baseline).reduce(plus, empty()) };
}

const isBehind = (now: CanarySample, before: CanarySample): boolean =>
  now.canary.requests < before.canary.requests || now.baseline.requests < before.baseline.requests;

/** Newest counts of each run; runs that are gone stay, added up when there are too many. */
export function merge(before: readonly CanarySample[], reports: readonly CanarySample[]): CanarySample[] {
  const fresh = new Map(reports.map((report) => [report.proxy, report]));
  const gone: CanarySample[] = [];
  for (const old of before) {
    const now = fresh.get(old.proxy);
    if (now === undefined) gone.push(old);
    // The counts of a run never decrease; should they, the higher ones are kept.
    else if (isBehind(now, old)) gone.push({ ...old, proxy: "" });
  }
  const nameless = gone.filter((sample) => sample.proxy === "");
  const named = gone.filter((sample) => sample.proxy !== "");
  const room = Math.max(0, maxSamples - fresh.size);
  const folded = [...nameless, ...named.slice(0, Math.max(0, named.length - room))];
  const kept = named.slice(Math.max(0, named.length - room));
  return [...(folded.length === 0 ? [] : [added(folded)]), ...kept, ...fresh.values()];
}

/** Linear within a bucket; what is slower than the last bound counts as twice that. */
function percentile95(latency: readonly number[]): number | null {
  const total = latency.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let before = 0;
  for (const [index, count] of latency.entries()) {
    if (before + count >= 0.95 * total && count > 0) {
      const low = canaryLatencyBoundsMs[index - 1] ?? 0;
      const high = canaryLatencyBoundsMs[index] ?? 2 * (canaryLatencyBoundsMs.at(-1) ?? 0);
      return Math.round(low + ((0.95 * total - before) / count) * (high - low));
    }
    before += count;
  }
  return null;
}

const meanCost = (side: ReportedSide): number | null => (side.priced === 0 ? null : side.cost / side.priced);

export function measure(samples: readonly CanarySample[]): Measured {
  const { canary, baseline } = added(samples);
  const [mine, theirs] = [meanCost(canary), meanCost(baseline)];
  return {
    requests: canary.requests,
    errorRate: canary.requests === 0 ? null : canary.failures / canary.requests,
    latencyP95Ms: percentile95(canary.latency),
    costIncrease: mine === null || theirs === null || theirs === 0 ? null : mine / theirs - 1,
  };
}

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;

export const written = {
  errorRate: percent,
  latencyP95Ms: (ms: number): string => `${ms}ms`,
  costIncrease: percent,
};
const names = { errorRate: "error rate", latencyP95Ms: "p95 of latency", costIncrease: "cost increase" } as const;
type Name = keyof typeof names;
const all = Object.keys(names) as Name[];

export function summary(measured: Measured): string {
  const parts = all.flatMap((name) =>
    measured[name] === null ? [] : [`${names[name]} ${written[name](measured[name])}`],
  );
  return [nounCount(measured.requests, "request"), ...parts].join(", ");
}

/** Criteria of success that don't hold, or that can't be evaluated. */
function missed(measured: Measured, wanted: Criteria): string[] {
  return all.flatMap((name) => {
    const [bound, value] = [wanted[name], measured[name]];
    if (bound === null || (value !== null && value < bound)) return [];
    return [
      value === null
        ? `${names[name]} is not known`
        : `${names[name]} ${written[name](value)} is not below ${written[name](bound)}`,
    ];
  });
}

function exceeded(measured: Measured, bounds: Criteria): string[] {
  return all.flatMap((name) => {
    const [bound, value] = [bounds[name], measured[name]];
    return bound === null || value === null || value <= bound
      ? []
      : [`${names[name]} ${written[name](value)} is above ${written[name](bound)}`];
  });
}

/** The next state of a canary. `before` of another id, or null: it begins. */
export function advanceCanary(
  plan: CanaryPlan,
  before: CanaryProgress | null,
  reports: readonly CanarySample[],
  nowMs: number,
): CanaryProgress {
  const began = before !== null && before.id === plan.id ? before : null;
  if (began !== null && began.phase !== "Progressing") return began;
  const startedAtMs = began?.startedAtMs ?? nowMs;
  const samples = merge(began?.samples ?? [], reports);
  const measured = measure(samples);
  const base = { id: plan.id, target: plan.target, startedAtMs, samples };
  const over = nowMs - startedAtMs >= plan.forMs;
  const enough = measured.requests >= plan.minimumRequests;
  const decide = (phase: "Promoted" | "RolledBack", why: string): CanaryProgress => ({
    ...base,
    phase,
    decidedAtMs: nowMs,
    waiting: false,
    verdict: why,
  });
  const going = (verdict: string): CanaryProgress => ({
    ...base,
    phase: "Progressing",
    decidedAtMs: null,
    waiting: over,
    verdict,
  });
  if (!enough) {
    const verdict = `${plan.target} gets ${plan.percent} % of the traffic: ${summary(measured)}`;
    return going(over ? `${verdict}; its duration has passed, but a verdict needs ${plan.minimumRequests}` : verdict);
  }
  const bad = exceeded(measured, plan.rollBackWhen);
  if (bad.length > 0)
    return decide("RolledBack", `${plan.target} gets no more traffic: ${bad.join("; ")} (${summary(measured)})`);
  if (plan.paused)
    return {
      ...going(`${plan.target} keeps ${plan.percent} % of the traffic while paused: ${summary(measured)}`),
      waiting: false,
    };
  if (!over) return going(`${plan.target} gets ${plan.percent} % of the traffic: ${summary(measured)}`);
  const short = missed(measured, plan.succeedWhen);
  if (short.length > 0)
    return decide("RolledBack", `${plan.target} gets no more traffic: ${short.join("; ")} (${summary(measured)})`);
  return decide("Promoted", `${plan.target} gets all traffic: ${summary(measured)}`);
}
