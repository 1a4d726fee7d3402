/** What is said of a provider or a policy. Pure. */
import type { ObjectAlert, ObjectAlertEvent } from "../../../crds/types/object-alerts.ts";
import type { ObjectAlertWatch } from "../../compile/object-alerts.ts";
import { type Alert, type Severity, testAlert } from "../../delivery/message.ts";

interface Words {
  severity: Severity;
  /** "… of the provider a/b" */
  title: string;
  over: string;
}

const words: Record<ObjectAlertEvent, Words> = {
  BreakerOpen: { severity: "warning", title: "a breaker is open", over: "breakers are closed again" },
  Unhealthy: { severity: "critical", title: "the health check fails", over: "the health check succeeds again" },
  Failover: {
    severity: "warning",
    title: "calls go on to another provider",
    over: "calls go to the provider that comes first again",
  },
  ErrorRate: { severity: "critical", title: "too many errors", over: "errors are few again" },
  Latency: { severity: "warning", title: "answers take too long", over: "answers come in time again" },
  FirstToken: { severity: "warning", title: "first tokens come too late", over: "first tokens come in time again" },
};

const nouns = { LLMProvider: "provider", RoutingPolicy: "policy" } as const;

/** What it is said of. */
export type AlertSubject = Pick<ObjectAlertWatch, "kind" | "id">;

const aboutOf = ({ kind, id }: AlertSubject): string => `${kind}/${id}`;

/** Why it is over. Deleted: with the object. ChannelRemoved: for one channel, which the object names no more. */
export type AlertEnding = "Recovered" | "NotWatched" | "Deleted" | "ChannelRemoved";

function overText({ kind, id }: AlertSubject, { event, since, detail }: ObjectAlert, ending: AlertEnding): string {
  const whose = `the ${nouns[kind]} ${id}`;
  const what = `${words[event].title} since ${since}`;
  if (ending === "Recovered") return `Over for ${whose}: ${words[event].over}. It began at ${since}. ${detail}.`;
  if (ending === "NotWatched")
    return `No longer watched for ${whose}: ${what}. Whether it is still so is not looked at.`;
  if (ending === "Deleted") return `The ${nouns[kind]} ${id} was deleted, and with it the alert about it: ${what}.`;
  return `This channel no longer gets alerts about ${whose}: ${what}. spec.alerts does not name it any more.`;
}

const overDetail: Partial<Record<AlertEnding, string>> = {
  Deleted: "the object was deleted",
  ChannelRemoved: "spec.alerts does not name this channel any more",
};

const overTitle: Partial<Record<AlertEnding, string>> = {
  NotWatched: "no longer watched",
  Deleted: "deleted",
  ChannelRemoved: "no longer told here",
};

export const objectIncidentKey = (subject: AlertSubject, event: ObjectAlertEvent): string =>
  `${aboutOf(subject)}|${event}`;

/** `ending`: of its end, and why it is over; null: of its beginning. */
export function objectAlertMessage(watch: AlertSubject, alarm: ObjectAlert, ending: AlertEnding | null): Alert {
  const { event, since, value, bound } = alarm;
  const over = ending !== null;
  const detail = (ending === null ? undefined : overDetail[ending]) ?? alarm.detail;
  const about = aboutOf(watch);
  const { severity, title, over: well } = words[event];
  const state = over ? "Over" : "Active";
  const time = over ? (alarm.over ?? since) : since;
  const limit = bound === "" ? "" : ` (the bound is ${bound})`;
  const whose = `the ${nouns[watch.kind]} ${watch.id}`;
  const ended = ending === null ? title : ending === "Recovered" ? well : `${overTitle[ending]}: ${title}`;
  return {
    key: `${about}|${event}|${since}|${state}`,
    incident: objectIncidentKey(watch, event),
    event,
    state,
    severity: over ? "info" : severity,
    about,
    title: `${ended} (${watch.id})`,
    text: ending === null ? `For ${whose}, ${title}: ${detail}${limit}.` : overText(watch, alarm, ending),
    facts: { object: watch.id, event, state, value, bound, detail, since },
    atMs: Date.parse(time),
  };
}

export function objectAlertTest(watch: AlertSubject, requestedAt: string, atMs: number): Alert {
  const facts = {
    object: watch.id,
    event: "Test",
    state: "Active",
    value: "",
    bound: "",
    detail: "",
    since: new Date(atMs).toISOString(),
  };
  return testAlert(aboutOf(watch), requestedAt, facts, atMs);
}
