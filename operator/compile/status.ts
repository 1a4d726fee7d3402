/**
 * Verdict + what the proxies report → the object's status. Pure. A status is never better than what traffic
 * experiences.
 */
import { isError } from "./outcome.ts";
import { bounded, summaryOf } from "./summary.ts";
import type { Problem, Verdict } from "./verdict.ts";

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  /** RFC 3339. */
  lastTransitionTime: string;
  observedGeneration: number;
}

/** How far the rollout of the revision has come. */
export interface Programmed {
  revision: string;
  /** Proxies at this revision, of `total` that are ready. */
  live: number;
  total: number;
}

/** Conditions that are True when something is wrong. */
const abnormal: ReadonlySet<string> = new Set(["Expired", "PriceUnknown", "CertificateExpired", "Exceeded"]);

/** Conditions that summarise others. Only Warning adds information of its own. */
const summaries: ReadonlySet<string> = new Set(["Ready", "Reconciling", "Stalled", "Warning"]);

/** Reasons for which a condition is False although nothing is wrong. */
const fine: ReadonlySet<string> = new Set(["Promoted"]);

/** Whether a condition reports a problem of its own. */
export const isAmiss = ({ type, status, reason }: Pick<Condition, "type" | "status" | "reason">): boolean =>
  status === (abnormal.has(type) ? "True" : "False") && !fine.has(reason) && !summaries.has(type);

export const isSummary = ({ type }: Pick<Condition, "type">): boolean => summaries.has(type);

type Bare = Omit<Condition, "lastTransitionTime" | "observedGeneration">;

function fromProblems(type: string, problems: readonly Problem[], good: { reason: string; message: string }): Bare {
  const errors = problems.filter(isError);
  const first = errors[0];
  if (first === undefined) return { type, status: "True", ...good };
  const all = [...new Set(errors.map((error) => error.message))];
  // The API server refuses condition messages longer than 32,768 characters; five of these and a count fit.
  const messages = all.slice(0, 5).map((text) => bounded(text, 6_000));
  const more = all.length > messages.length ? [`and ${all.length - messages.length} more`] : [];
  return { type, status: "False", reason: first.reason, message: [...messages, ...more].join("; ") };
}

function resolvedRefs(verdict: Verdict): Bare {
  const type = "ResolvedRefs";
  if (verdict.refsUnknown)
    return {
      type,
      status: "Unknown",
      reason: "Invalid",
      message: "references are resolved once the object is valid",
    };
  return fromProblems(type, verdict.resolvedRefs, {
    reason: type,
    message: "all references exist and are granted",
  });
}

function programmed(verdict: Verdict, state: Programmed): Bare {
  const type = "Programmed";
  const where = `${state.live}/${state.total} proxies at ${state.revision}`;
  if (verdict.live === "none")
    return {
      type,
      status: "False",
      reason: "NotServed",
      message: "nothing is served by this object; Accepted and ResolvedRefs say why",
    };
  if (verdict.unpublished)
    return {
      type,
      status: "False",
      reason: "NotPublished",
      message: `this form could not be published yet; the operator retries, and its log says why (${state.total} proxies)`,
    };
  if (verdict.live === "lastGood")
    return {
      type,
      status: "False",
      reason: "LastGood",
      message: `an earlier form of this object is served until it is fixed (${where})`,
    };
  if (state.total === 0) return { type, status: "False", reason: "NoProxies", message: "no proxy is ready" };
  if (state.live < state.total) return { type, status: "False", reason: "Pending", message: where };
  if (verdict.live === "partial")
    return {
      type,
      status: "False",
      reason: "Partial",
      message: `served without the parts that were not accepted or did not resolve (${where})`,
    };
  return { type, status: "True", reason: "Live", message: where };
}

/** A condition keeps the time of its last transition while its status is unchanged. */
function dated(bare: Bare, previous: readonly Condition[], generation: number, now: string): Condition {
  const before = previous.find((condition) => condition.type === bare.type);
  const lastTransitionTime = before?.status === bare.status ? before.lastTransitionTime : now;
  return { ...bare, lastTransitionTime, observedGeneration: generation };
}

export function previousConditions(status: unknown): Condition[] {
  const conditions = (status as { conditions?: unknown } | null)?.conditions;
  return Array.isArray(conditions) ? (conditions as Condition[]) : [];
}

export function statusOf(
  verdict: Verdict,
  state: Programmed,
  previous: unknown,
  nowMs: number,
): Record<string, unknown> {
  const now = new Date(nowMs).toISOString().replace(/\.\d{3}Z$/, "Z");
  const before = previousConditions(previous);
  const conditions: Bare[] = [
    fromProblems("Accepted", verdict.accepted, { reason: "Accepted", message: "the object is valid" }),
    resolvedRefs(verdict),
  ];
  const rollout = programmed(verdict, state);
  const bare = [...conditions, rollout, ...summaryOf(verdict, conditions, rollout), ...verdict.conditions];
  const wrong = bare.find(isAmiss);
  return {
    observedGeneration: verdict.meta.generation,
    ...verdict.status,
    ...(wrong === undefined ? {} : { why: bounded(wrong.message, 1024) }),
    conditions: bare.map((condition) => dated(condition, before, verdict.meta.generation, now)),
  };
}
