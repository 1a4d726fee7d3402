/** The text of an alert, in each channel's format. Pure. */
import { createHash } from "node:crypto";
import { type Channel, filled } from "../compile/alerts.ts";

export type Severity = "info" | "warning" | "critical";

export interface Alert {
  /** The same for the same event, so that a receiver can detect duplicates. */
  key: string;
  /** The same from the start of an incident to its end, and for its next occurrence. */
  incident: string;
  event: string;
  /** Over: the reported incident has ended. */
  state: "Active" | "Over";
  severity: Severity;
  /** `Kind/namespace/name` */
  about: string;
  /** One line. */
  title: string;
  /** One or two sentences. */
  text: string;
  facts: Readonly<Record<string, string>>;
  atMs: number;
  /** The alerts that a digest consists of, oldest first; absent for a single alert. */
  parts?: readonly Alert[];
}

export const alertText = (alert: Alert, channel: Channel): string => {
  if (alert.parts !== undefined) return alert.parts.map((part) => alertText(part, channel)).join("\n");
  return channel.message === null ? alert.text : filled(channel.message, alert.facts);
};

const severities: readonly Severity[] = ["info", "warning", "critical"];

/** Several alerts of one object as one. */
export function digestOf(alerts: readonly Alert[]): Alert {
  const parts = alerts.toSorted((a, b) => a.atMs - b.atMs);
  const [first, last] = [parts[0] as Alert, parts.at(-1) as Alert];
  if (parts.length === 1) return first;
  const name = first.about.slice(first.about.indexOf("/") + 1);
  const rank = ({ severity }: Alert): number => severities.indexOf(severity);
  return {
    ...last,
    key: `${first.key}|${parts.length}`,
    incident: `${first.about}|Digest`,
    event: "Digest",
    state: parts.some(({ state }) => state === "Active") ? "Active" : "Over",
    severity: severities[Math.max(...parts.map(rank))] ?? "warning",
    title: `${parts.length} alerts (${name})`,
    text: parts.map(({ text }) => text).join("\n"),
    parts,
  };
}

/** Link for receivers. `{{kind}}`, `{{namespace}}` and `{{name}}` are replaced by the object's. */
export interface AlertLinks {
  console: string;
  dashboard: string;
}

/** Adds the installation's links to the facts and to the text. */
export function withLinks(alert: Alert, { console, dashboard }: AlertLinks): Alert {
  const [kind = "", namespace = "", name = ""] = alert.about.split("/").map(encodeURIComponent);
  const links = {
    console: filled(console, { kind, namespace, name }),
    dashboard: filled(dashboard, { kind, namespace, name }),
  };
  const shown = Object.values(links).filter((link) => link !== "");
  const text = [alert.text, ...shown].join(" ");
  return { ...alert, text, facts: { ...alert.facts, ...links } };
}

/** Slack's control characters, from its formatting guide. */
const slackEscaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Mentions and links in Slack's form. */
const slackMarkup =
  /<(![a-z]+|!subteam\^[A-Z0-9]+|@[A-Z0-9]+|#[A-Z0-9]+|(?:https?:\/\/|mailto:|\{\{)[^<>|]*)(\|[^<>|]*)?>/g;

/** Mentions and links that the author of a message wrote stay; values can't add any. */
function slackText(alert: Alert, channel: Channel): string {
  if (alert.parts !== undefined) return alert.parts.map((part) => slackText(part, channel)).join("\n");
  if (channel.message === null) return slackEscaped(alert.text);
  const values = Object.fromEntries(
    Object.entries(alert.facts).map(([name, value]) => [name, slackEscaped(value).replaceAll("|", "%7C")]),
  );
  const plain = Object.fromEntries(Object.entries(alert.facts).map(([name, value]) => [name, slackEscaped(value)]));
  let text = "";
  let end = 0;
  for (const { index, 0: markup } of channel.message.matchAll(slackMarkup)) {
    text += filled(slackEscaped(channel.message.slice(end, index)), plain) + filled(markup, values);
    end = index + markup.length;
  }
  return text + filled(slackEscaped(channel.message.slice(end)), plain);
}

/** Body of an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks"). */
export const slackBody = (alert: Alert, channel: Channel): object => ({
  text: slackText(alert, channel),
});

const maxDedupKeyLength = 255;

/** PagerDuty's limit, in characters; truncation must not merge two incidents. */
function dedupKey(incident: string): string {
  if (incident.length <= maxDedupKeyLength) return incident;
  const digest = createHash("sha256").update(incident).digest("hex");
  return `${incident.slice(0, maxDedupKeyLength - digest.length - 1)}|${digest}`;
}

/**
 * An event of PagerDuty's Events API v2. A repeated event with the same `dedup_key` opens no second incident, and a
 * resolve event closes it.
 */
export function pagerDutyBody(alert: Alert, channel: Channel, routingKey: string): object {
  const about = { routing_key: routingKey, dedup_key: dedupKey(alert.incident) };
  if (alert.state === "Over") return { ...about, event_action: "resolve" };
  return {
    ...about,
    event_action: "trigger",
    payload: {
      summary: alertText(alert, channel).slice(0, 1024),
      source: alert.about,
      severity: alert.severity,
      timestamp: new Date(alert.atMs).toISOString(),
      component: "sluice",
      class: alert.event,
      custom_details: alert.facts,
    },
  };
}

export const webhookBody = (alert: Alert, channel: Channel): object => ({
  version: 1,
  key: alert.key,
  event: alert.event,
  state: alert.state,
  severity: alert.severity,
  object: alert.about,
  at: new Date(alert.atMs).toISOString(),
  text: alertText(alert, channel),
  facts: alert.facts,
  ...(alert.parts === undefined
    ? {}
    : { alerts: alert.parts.map(({ key, event, state, facts }) => ({ key, event, state, facts })) }),
});

export const mailOf = (alert: Alert, channel: Channel): { subject: string; text: string } => ({
  subject: `Sluice: ${alert.title}`,
  text: `${alertText(alert, channel)}\n`,
});

/** An alert that says it is only a test. */
export function testAlert(
  about: string,
  requestedAt: string,
  facts: Readonly<Record<string, string>>,
  atMs: number,
): Alert {
  const name = about.slice(about.indexOf("/") + 1);
  const key = `${about}|test|${requestedAt}`;
  const text = `Test alert of ${about}: this channel works. Nothing has happened.`;
  return {
    key,
    incident: key,
    event: "Test",
    state: "Active",
    severity: "info",
    about,
    title: `test alert (${name})`,
    text,
    facts,
    atMs,
  };
}
