/** Messages of the alerts of a provider or policy. Pure. */
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
    title: "calls fail over to another provider",
    over: "calls go to the first provider again",
  },
  ErrorRate: { severity: "critical", title: "too many errors", over: "the error rate is normal again" },
  Latency: { severity: "warning", title: "answers take too long", over: "latency is normal again" },
  FirstToken: { severity: "warning", title: "first tokens come too late", over: "first tokens come in time again" },
};

const nouns = { LLMProvider: "provider", RoutingPolicy: "policy" } as const;

/** The object that an alert is about. */
export type AlertSubject = Pick<ObjectAlertWatch, "kind" | "id">;

const aboutOf = ({ kind, id }: AlertSubject): string => `${kind}/${id}`;

/** Why an alert ended. ChannelRemoved: it ended for one channel, which the object no longer names. */
export type AlertEnding = "Recovered" | "NotWatched" | "Deleted" | "ChannelRemoved";

function overText({ kind, id }: AlertSubject, { event, since, detail }: ObjectAlert, ending: AlertEnding): string {
  const whose = `the ${nouns[kind]} ${id}`;
  const what = `${words[event].title} since ${since}`;
  if (ending === "Recovered") return `Over for ${whose}: ${words[event].over}. It began at ${since}. ${detail}.`;
  if (ending === "NotWatched")
    return `No longer watched for ${whose}: ${what}. Nothing checks any more whether it still holds.`;
  if (ending === "Deleted") return `The ${nouns[kind]} ${id} was deleted, and with it the alert about it: ${what}.`;
  return `This channel no longer gets alerts about ${whose}: ${what}. spec.alerts no longer names it.`;
}

const overDetail: Partial<Record<AlertEnding, string>> = {
  Deleted: "the object was deleted",
  ChannelRemoved: "spec.alerts no longer names this channel",
};

const overTitle: Partial<Record<AlertEnding, string>> = {
  NotWatched: "no longer watched",
  Deleted: "deleted",
  ChannelRemoved: "no longer sent to this channel",
};

export const objectIncidentKey = (subject: AlertSubject, event: ObjectAlertEvent): string =>
  `${aboutOf(subject)}|${event}`;

/** `ending`: why the alert ended; null for a message about its start. */
export function objectAlertMessage(watch: AlertSubject, alert: ObjectAlert, ending: AlertEnding | null): Alert {
  const { event, since, value, bound } = alert;
  const over = ending !== null;
  const detail = (ending === null ? undefined : overDetail[ending]) ?? alert.detail;
  const about = aboutOf(watch);
  const { severity, title, over: well } = words[event];
  const state = over ? "Over" : "Active";
  const time = over ? (alert.over ?? since) : since;
  const limit = bound === "" ? "" : ` (the limit is ${bound})`;
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
    text: ending === null ? `For ${whose}, ${title}: ${detail}${limit}.` : overText(watch, alert, ending),
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
