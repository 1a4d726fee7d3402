/** What is said of a provider or a policy. Pure. */
import type { Alarm, AlarmEvent } from "../../crds/types/alarms.ts";
import type { AlarmWatch } from "../compile/alarms.ts";
import { type Alert, type Severity, testAlert } from "./message.ts";

interface Words {
  severity: Severity;
  /** "… of the provider a/b" */
  title: string;
  over: string;
}

const words: Record<AlarmEvent, Words> = {
  BreakerOpen: { severity: "warning", title: "a breaker is open", over: "breakers are closed again" },
  Unhealthy: { severity: "critical", title: "the health check fails", over: "the health check succeeds again" },
  Failover: { severity: "warning", title: "calls go on to another provider", over: "calls go to the provider that comes first again" },
  ErrorRate: { severity: "critical", title: "too many errors", over: "errors are few again" },
  Latency: { severity: "warning", title: "answers take too long", over: "answers come in time again" },
  FirstToken: { severity: "warning", title: "first tokens come too late", over: "first tokens come in time again" },
};

const nouns = { LLMProvider: "provider", RoutingPolicy: "policy" } as const;

const aboutOf = ({ kind, id }: AlarmWatch): string => `${kind}/${id}`;

/** `over`: of its end, not of its beginning. */
export function alarmAlert(watch: AlarmWatch, alarm: Alarm, over: boolean): Alert {
  const { event, since, value, bound, detail } = alarm;
  const about = aboutOf(watch);
  const { severity, title, over: well } = words[event];
  const state = over ? "Over" : "Active";
  const at = over ? (alarm.over ?? since) : since;
  const limit = bound === "" ? "" : ` (the bound is ${bound})`;
  const whose = `the ${nouns[watch.kind]} ${watch.id}`;
  return {
    key: `${about}|${event}|${since}|${state}`,
    incident: `${about}|${event}`,
    event,
    state,
    severity: over ? "info" : severity,
    about,
    title: `${over ? well : title} (${watch.id})`,
    text: over ? `Over for ${whose}: ${well}. It began at ${since}. ${detail}.` : `For ${whose}, ${title}: ${detail}${limit}.`,
    facts: { object: watch.id, event, state, value, bound, detail, since },
    atMs: Date.parse(at),
  };
}

export function alarmTest(watch: AlarmWatch, requestedAt: string, atMs: number): Alert {
  const facts = { object: watch.id, event: "Test", state: "Active", value: "", bound: "", detail: "", since: new Date(atMs).toISOString() };
  return testAlert(aboutOf(watch), requestedAt, facts, atMs);
}
