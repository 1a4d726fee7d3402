/**
 * `spec.alertWhen` and `spec.alerts` of providers and policies → what proxies count, and the bounds by which the
 * operator judges. Pure.
 */
import { durationMs } from "../../crds/quantity.ts";
import {
  type ObjectAlertEvent,
  objectAlertFacts,
  type PolicyAlertWhen,
  type ProviderAlertWhen,
} from "../../crds/types/object-alerts.ts";
import type { WatchConfig } from "../../proxy/config/watch.ts";
import { type Channel, type ChannelName, channelNames, compileChannels } from "./alerts.ts";
import type { ParsedObject } from "./outcome.ts";
import type { Problem, VerdictDraft } from "./verdict.ts";
import type { World } from "./world.ts";

export interface ObjectAlertWatch {
  kind: "LLMProvider" | "RoutingPolicy";
  id: string;
  /** Events that are watched. */
  events: readonly ObjectAlertEvent[];
  /** Shares from 0 to 1; null if unset. */
  failover: number | null;
  errorRate: number | null;
  minimumRequests: number;
  counting: WatchConfig;
  /** Channels that can be used. */
  channels: readonly Channel[];
  /** All channels that the spec names. */
  named: readonly ChannelName[];
}

type When = Partial<Pick<PolicyAlertWhen, "failover"> & Pick<ProviderAlertWhen, "breakerOpen" | "unhealthy">> &
  Pick<PolicyAlertWhen, "errorRate" | "latencyP95" | "firstTokenP95" | "window" | "minimumRequests">;

const shareOf = (text: string | undefined): number | null =>
  text === undefined ? null : Number(text.slice(1, -1)) / 100;
const msOf = (text: string | undefined): number | null => (text === undefined ? null : durationMs(text.slice(1)));

/** What proxies must count. */
export const countingOf = (when: When): WatchConfig => ({
  windowMs: durationMs(when.window),
  latencyMs: msOf(when.latencyP95),
  firstTokenMs: msOf(when.firstTokenP95),
});

function eventsOf(when: When): ObjectAlertEvent[] {
  const watched: Record<ObjectAlertEvent, boolean> = {
    BreakerOpen: when.breakerOpen ?? false,
    Unhealthy: when.unhealthy ?? false,
    Failover: when.failover !== undefined,
    ErrorRate: when.errorRate !== undefined,
    Latency: when.latencyP95 !== undefined,
    FirstToken: when.firstTokenP95 !== undefined,
  };
  return (Object.keys(watched) as ObjectAlertEvent[]).filter((event) => watched[event]);
}

/**
 * Reasons of Healthy that a watched event already reports. If only calls show a provider's health, it is unreachable
 * exactly when its breakers are open.
 */
function alertedReasons(events: readonly ObjectAlertEvent[], checked: boolean): string[] {
  const breakers = events.includes("BreakerOpen");
  const reach = checked ? events.includes("Unhealthy") : breakers;
  return [...(breakers ? ["BreakerOpen"] : []), ...(reach ? ["PartlyReachable", "Unreachable"] : [])];
}

/** Channels that wait for events that never occur. */
function checkEvents(channels: readonly Channel[], watched: readonly string[]): string[] {
  const idle = channels.flatMap(({ id, events }) =>
    (events ?? []).filter((event) => !watched.includes(event)).map((event) => `${id} waits for ${event}`),
  );
  return idle.length === 0 ? [] : [`${idle.join(", ")}, which alertWhen does not name`];
}

/** An unusable channel must not stop calls, so the problem is only a warning and the condition AlertsReady. */
export function compileObjectAlerts(
  object: ParsedObject<"LLMProvider"> | ParsedObject<"RoutingPolicy">,
  world: World,
  mail: boolean,
  verdict: VerdictDraft,
): ObjectAlertWatch | null {
  const conditions: When | undefined = object.spec.alertWhen;
  if (conditions === undefined) return null;
  const when: When =
    object.kind === "LLMProvider"
      ? { ...conditions, unhealthy: conditions.unhealthy ?? object.spec.healthCheck !== undefined }
      : conditions;
  const problems: Problem[] = [];
  const refs: Problem[] = [];
  const channels = compileChannels(object.spec.alerts, objectAlertFacts, {
    namespace: object.meta.namespace,
    world,
    mail,
    accepted: problems,
    refs,
  });
  const events = eventsOf(when);
  if (object.kind === "LLMProvider")
    verdict.alertedReasons = alertedReasons(events, object.spec.healthCheck !== undefined);
  for (const message of checkEvents(channels, events))
    problems.push({ reason: "Invalid", message, path: ["spec", "alerts"], severity: "error" });
  verdict.accepted.push(...problems.map((problem) => ({ ...problem, severity: "warning" as const })));
  verdict.resolvedRefs.push(...refs.map((ref) => ({ ...ref, severity: "warning" as const })));
  if (object.spec.alerts !== undefined)
    verdict.conditions.push(readiness([...problems, ...refs], channels.length, object.spec.alerts.length));
  return {
    kind: object.kind,
    id: object.id,
    events,
    failover: shareOf(when.failover),
    errorRate: shareOf(when.errorRate),
    minimumRequests: when.minimumRequests,
    counting: countingOf(when),
    channels,
    named: channelNames(object.spec.alerts),
  };
}

function readiness(problems: readonly Problem[], usable: number, all: number): VerdictDraft["conditions"][number] {
  const type = "AlertsReady";
  const [first] = problems;
  if (first === undefined)
    return { type, status: "True", reason: "Ready", message: `${usable} of ${all} channels can be used` };
  const message = `${usable} of ${all} channels can be used: ${problems.map((problem) => problem.message).join("; ")}`;
  return { type, status: "False", reason: first.reason, message };
}
