/** Verdicts → statuses and Events, written only if something changed. */
import { isDeepStrictEqual } from "node:util";
import { V1MicroTime } from "@kubernetes/client-node";
import { apiVersion } from "../../crds/kinds.ts";
import type { BudgetCrossing } from "../../crds/types/budget-status.ts";
import type { ObjectAlert, ObjectAlertEvent } from "../../crds/types/object-alerts.ts";
import {
  type Condition,
  isAmiss,
  isSummary,
  type Programmed,
  previousConditions,
  statusOf,
} from "../compile/status.ts";
import type { Verdict } from "../compile/verdict.ts";
import type { WorldObject } from "../compile/world.ts";
import { type Cluster, fieldManager, statusCode } from "./api.ts";
import { pluralOf } from "./world.ts";

/** Conditions whose first appearance is worth an Event, even if they are good. */
const rolloutTypes: ReadonlySet<string> = new Set(["Programmed", "CanaryProgressing", "Rotated"]);

export interface Transition {
  condition: Condition;
  /** Whether the Event is a warning. */
  warning: boolean;
}

/**
 * Whether a change of Healthy concerns only states that alerts have Events for. Becoming Reachable after a time in
 * which no proxy could be asked isn't worth an Event either.
 */
function byAlerts({ type, reason }: Condition, old: Condition | undefined, alertedReasons: readonly string[]): boolean {
  if (type !== "Healthy") return false;
  const wrong = [old?.reason, reason].filter(
    (reason) => reason !== undefined && reason !== "Reachable" && reason !== "NotYetKnown",
  );
  return alertedReasons.length > 0 && wrong.every((reason) => alertedReasons.includes(reason as string));
}

/**
 * Pure: conditions whose status or reason is worth an Event. `alertedReasons`: reasons of Healthy that alerts have Events
 * for.
 */
export function transitions(
  before: readonly Condition[],
  after: readonly Condition[],
  alertedReasons: readonly string[] = [],
): Transition[] {
  return after.flatMap((condition) => {
    const old = before.find((previous) => previous.type === condition.type);
    const pending =
      condition.reason === "Pending" ||
      (condition.type === "Healthy" && condition.status === "Unknown") ||
      ((condition.type === "Expired" || condition.type === "Exceeded") && condition.status === "False");
    if (
      pending ||
      isSummary(condition) ||
      (old?.status === condition.status && old.reason === condition.reason) ||
      byAlerts(condition, old, alertedReasons)
    )
      return [];
    const warning = isAmiss(condition);
    // A new object without problems gets one Event, from Programmed.
    if (old === undefined && !warning && !rolloutTypes.has(condition.type)) return [];
    return [{ condition, warning }];
  });
}

/** Pure: warnings, reported once for each form of the object. */
export function warnings(verdict: Verdict, before: readonly Condition[]): Transition[] {
  if (before.some((condition) => condition.observedGeneration === verdict.meta.generation)) return [];
  const warnings = [...verdict.accepted, ...verdict.resolvedRefs].filter((problem) => problem.severity === "warning");
  return warnings.map(({ reason, message }) => ({
    condition: {
      type: "Accepted",
      status: "True",
      reason,
      message,
      lastTransitionTime: "",
      observedGeneration: verdict.meta.generation,
    },
    warning: true,
  }));
}

interface Crossed {
  periodStart?: string;
  countingSince?: string;
  crossings?: BudgetCrossing[];
}

/** Pure: the thresholds that a budget has crossed since the last status. */
export function crossed(before: unknown, after: unknown): Transition[] {
  const [old, now] = [(before ?? {}) as Crossed, after as Crossed];
  const known =
    old.periodStart === now.periodStart && old.countingSince === now.countingSince ? (old.crossings ?? []) : [];
  const fresh = (now.crossings ?? []).filter(
    (crossing) =>
      !known.some(
        (was) => was.at === crossing.at && was.percent === crossing.percent && was.subject === crossing.subject,
      ),
  );
  return fresh.slice(0, 20).map(({ event, percent, subject, spent, at }) => {
    const whose = subject === "" ? "" : ` for ${subject}`;
    const message =
      event === "Spike"
        ? `spending is at ${percent} % of a usual period: USD ${spent}`
        : `${percent} % of the limit reached${whose}: USD ${spent} spent`;
    const reason = event === "Spike" ? "CostSpike" : "BudgetThreshold";
    return {
      condition: { type: event, status: "True", reason, message, lastTransitionTime: at, observedGeneration: 0 },
      warning: true,
    };
  });
}

/** Reasons of Events for the start and the end of an alert. */
const alertReasons: Record<ObjectAlertEvent, readonly [string, string]> = {
  BreakerOpen: ["BreakerOpened", "BreakerClosed"],
  Unhealthy: ["HealthCheckFailing", "HealthCheckSucceeding"],
  Failover: ["FailoverBegan", "FailoverEnded"],
  ErrorRate: ["ErrorRateHigh", "ErrorRateNormal"],
  Latency: ["LatencyHigh", "LatencyNormal"],
  FirstToken: ["FirstTokenLate", "FirstTokenInTime"],
};

/** Pure: the alerts of a provider or policy that started or ended since the last status. */
export function alertTransitions(before: unknown, after: unknown): Transition[] {
  const alertsOf = (status: unknown): ObjectAlert[] => ((status ?? {}) as { alerts?: ObjectAlert[] }).alerts ?? [];
  const was = alertsOf(before);
  const fresh = alertsOf(after).filter(
    (now) => !was.some((alert) => alert.event === now.event && alert.since === now.since && alert.state === now.state),
  );
  return fresh.map(({ event, state, bound, detail, since, over, ending }) => {
    const on = state === "Active";
    const message = `${detail}${on && bound !== "" ? ` (limit: ${bound})` : ""}`;
    const reason = ending === "NotWatched" ? "NoLongerWatched" : alertReasons[event][on ? 0 : 1];
    const condition = {
      type: event,
      status: on ? "True" : "False",
      reason,
      message,
      lastTransitionTime: over ?? since,
      observedGeneration: 0,
    } as const;
    return { condition, warning: on };
  });
}

/**
 * Records an Event for an alert that could not be delivered, since nothing else reaches the object's owner. Never
 * throws.
 */
export async function reportUndelivered(
  cluster: Cluster,
  about: Pick<Verdict, "kind" | "meta">,
  channel: string,
  event: string,
  why: string,
): Promise<void> {
  const message = `${event} was not sent to ${channel} and will not be retried: ${why}`;
  const warning = { type: "Alert", status: "False", reason: "AlertNotDelivered", message } as const;
  await writeWarning(cluster, about, warning).catch(() => undefined);
}

/** Writes a warning Event about what is not a condition of the object. Throws if it can't be written. */
export function writeWarning(
  cluster: Cluster,
  about: Pick<Verdict, "kind" | "meta">,
  warning: Pick<Condition, "type" | "status" | "reason" | "message">,
): Promise<void> {
  const condition = { ...warning, lastTransitionTime: "", observedGeneration: 0 };
  return writeEvent(cluster, about, { condition, warning: true }, Date.now());
}

/** Throws if it can't be written. */
async function writeEvent(
  cluster: Cluster,
  verdict: Pick<Verdict, "kind" | "meta">,
  { condition, warning }: Transition,
  nowMs: number,
): Promise<void> {
  const { meta, kind } = verdict;
  await cluster.events.createNamespacedEvent({
    namespace: meta.namespace,
    body: {
      metadata: { generateName: `${meta.name.slice(0, 40).replace(/[.-]+$/, "")}-`, namespace: meta.namespace },
      action: condition.type,
      eventTime: new V1MicroTime(nowMs),
      note: `${condition.type}=${condition.status}: ${condition.message}`.slice(0, 1024),
      reason: condition.reason,
      regarding: { apiVersion, kind, name: meta.name, namespace: meta.namespace, uid: meta.uid },
      reportingController: "sluice.dev/operator",
      reportingInstance: fieldManager,
      type: warning ? "Warning" : "Normal",
    },
  });
}

/** Pure: the status that an object should carry; null if it carries it already. */
export function newStatus(
  verdict: Verdict,
  object: WorldObject,
  state: Programmed,
  nowMs: number,
): Record<string, unknown> | null {
  const status = statusOf(verdict, state, object.status, nowMs);
  return isDeepStrictEqual(inOrder(status), inOrder(object.status)) ? null : status;
}

/** Conditions come and go, and the API server decides their order. */
function inOrder(status: unknown): unknown {
  const conditions = previousConditions(status);
  if (conditions.length === 0) return status;
  return { ...(status as object), conditions: conditions.toSorted((a, b) => (a.type < b.type ? -1 : 1)) };
}

/**
 * Pure: what to report as Events. If a condition turned False for what is also a warning, only the condition is
 * reported.
 */
export function newsOf(verdict: Verdict, before: unknown, after: Record<string, unknown>): Transition[] {
  const conditions = previousConditions(before);
  const turned = transitions(conditions, previousConditions(after), verdict.alertedReasons);
  const said = turned.filter(({ warning }) => warning).map(({ condition }) => condition.message);
  const warned = warnings(verdict, conditions).filter(
    ({ condition }) => !said.some((message) => message.includes(condition.message)),
  );
  return [...turned, ...warned, ...crossed(before, after), ...alertTransitions(before, after)];
}

/** Returns whether the object still existed. */
export async function report(
  cluster: Cluster,
  verdict: Verdict,
  object: WorldObject,
  status: Record<string, unknown>,
  nowMs: number,
): Promise<boolean> {
  const { meta, kind } = verdict;
  try {
    // With the uid the status can't land on a new object of the same name.
    await cluster.applyStatus(pluralOf(kind), {
      apiVersion,
      kind,
      metadata: { name: meta.name, namespace: meta.namespace, uid: meta.uid },
      status,
    });
  } catch (cause) {
    if (statusCode(cause) === 404 || statusCode(cause) === 409) return false;
    throw cause;
  }
  const news = newsOf(verdict, object.status, status);
  // Events are best effort: if one can't be written, the status still holds.
  await Promise.allSettled(news.map((transition) => writeEvent(cluster, verdict, transition, nowMs)));
  return true;
}
