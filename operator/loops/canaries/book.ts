/**
 * The progress of canaries, from the status that this or an earlier leader wrote and from the proxies' reports. It is
 * kept in memory between passes. The status is written with each verdict, and otherwise from time to time.
 */
import { type CanaryStatus, canaryStatus } from "../../../crds/types/canary.ts";
import type { CanaryPlan, CanaryReport } from "../../compile/canary.ts";
import type { Compiled } from "../../compile/compile.ts";
import { idOf } from "../../compile/outcome.ts";
import type { StatusPatch, Verdict } from "../../compile/verdict.ts";
import type { CanaryFact, WorldObject } from "../../compile/world.ts";
import { advanceCanary, type CanaryProgress, measure, written } from "./judge.ts";

/** Counts change with every request, and are not written as often. */
const reportEveryMs = 30_000;

const iso = (ms: number): string => new Date(ms).toISOString();

export function statusOfCanary(progress: CanaryProgress): CanaryStatus {
  const { id, phase, target, samples, verdict } = progress;
  const { requests, errorRate, latencyP95Ms, costIncrease } = measure(samples);
  return {
    id,
    phase,
    target,
    startedAt: iso(progress.startedAtMs),
    ...(progress.decidedAtMs === null ? {} : { decidedAt: iso(progress.decidedAtMs) }),
    requests,
    ...(errorRate === null ? {} : { errorRate: written.errorRate(errorRate) }),
    ...(latencyP95Ms === null ? {} : { latencyP95: written.latencyP95Ms(latencyP95Ms) }),
    ...(costIncrease === null ? {} : { costIncrease: written.costIncrease(costIncrease) }),
    verdict: verdict.slice(0, 1024),
    samples,
  };
}

/** The progress in a status; null if there is none or it can't be read. */
export function progressIn(status: unknown): CanaryProgress | null {
  const parsed = canaryStatus.safeParse((status as { canary?: unknown } | null)?.canary);
  if (!parsed.success) return null;
  const { id, phase, target, startedAt, decidedAt, verdict, samples } = parsed.data;
  const startedAtMs = Date.parse(startedAt);
  if (Number.isNaN(startedAtMs)) return null;
  return {
    id,
    phase,
    target,
    startedAtMs,
    decidedAtMs: decidedAt === undefined ? null : Date.parse(decidedAt),
    verdict,
    waiting: false,
    samples,
  };
}

const reasons = { Progressing: "Progressing", Promoted: "Promoted", RolledBack: "RolledBack" } as const;

function conditionOf(progress: CanaryProgress): Verdict["conditions"][number] {
  const reason = progress.phase === "Progressing" && progress.waiting ? "TooFewRequests" : reasons[progress.phase];
  return {
    type: "CanaryProgressing",
    status: progress.phase === "Progressing" ? "True" : "False",
    reason,
    message: progress.verdict,
  };
}

interface Held {
  progress: CanaryProgress;
  /** The progress as last put into a status, and when. */
  reported: CanaryProgress;
  reportedAtMs: number;
}

interface Judged {
  decided: boolean;
  patches: StatusPatch[];
}

export class CanaryBook {
  #held = new Map<string, Held>();

  /** Clears the memory: another process may have written statuses since. */
  forget(): void {
    this.#held.clear();
  }

  /** Input of compile. */
  facts(objects: readonly WorldObject[]): ReadonlyMap<string, CanaryFact> {
    const facts = new Map<string, CanaryFact>();
    for (const object of objects) {
      if (object.kind !== "RoutingPolicy") continue;
      const route = idOf(object.meta);
      const progress = this.#held.get(route)?.progress ?? progressIn(object.status);
      if (progress === null) continue;
      if (!this.#held.has(route)) this.#held.set(route, { progress, reported: progress, reportedAtMs: 0 });
      facts.set(route, { id: progress.id, phase: progress.phase });
    }
    return facts;
  }

  /** Returns what to add to the policies' statuses. `decided`: a canary ended, so the next pass renders a new config. */
  judge(compiled: Compiled, reports: readonly CanaryReport[], nowMs: number): Judged {
    const patches: StatusPatch[] = [];
    const plans = new Map(compiled.canaries.map((plan) => [plan.route, plan]));
    const next = new Map<string, Held>();
    let decided = false;
    for (const verdict of compiled.others) {
      if (verdict.kind !== "RoutingPolicy") continue;
      const route = idOf(verdict.meta);
      const plan = plans.get(route);
      const before = this.#held.get(route);
      // A mistake elsewhere in the policy must not restart its canary.
      const held =
        plan === undefined
          ? verdict.live === "lastGood"
            ? before
            : undefined
          : this.#advance(plan, before, reports, nowMs);
      if (held === undefined) continue;
      decided ||= before?.progress.id === held.progress.id && before.progress.phase !== held.progress.phase;
      next.set(route, held);
      const { reported } = held;
      patches.push({ verdict, status: { canary: statusOfCanary(reported) }, conditions: [conditionOf(reported)] });
    }
    this.#held = next;
    return { decided, patches };
  }

  #advance(plan: CanaryPlan, before: Held | undefined, reports: readonly CanaryReport[], nowMs: number): Held {
    const samples = reports
      .filter((report) => report.route === plan.route && report.id === plan.id)
      .map((report) => report.sample);
    const progress = advanceCanary(plan, before?.progress ?? null, samples, nowMs);
    const same =
      before !== undefined &&
      before.reported.id === progress.id &&
      before.reported.phase === progress.phase &&
      before.reported.waiting === progress.waiting;
    if (same && nowMs - before.reportedAtMs < reportEveryMs) return { ...before, progress };
    return { progress, reported: progress, reportedAtMs: nowMs };
  }
}
