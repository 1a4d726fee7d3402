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
  /** Over: the incident reported before has ended. */
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
}

export const alertText = (alert: Alert, channel: Channel): string =>
  channel.message === null ? alert.text : filled(channel.message, alert.facts);

/** Slack's control characters, from its formatting guide. */
const slackEscaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Body of an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks"). */
export const slackBody = (alert: Alert, channel: Channel): object => ({
  text: slackEscaped(alertText(alert, channel)),
});

const longestDedupKey = 255;

/** PagerDuty's limit, in characters; truncation must not merge two incidents. */
function dedupKey(incident: string): string {
  if (incident.length <= longestDedupKey) return incident;
  const digest = createHash("sha256").update(incident).digest("hex");
  return `${incident.slice(0, longestDedupKey - digest.length - 1)}|${digest}`;
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
});

export const mailOf = (alert: Alert, channel: Channel): { subject: string; text: string } => ({
  subject: `Sluice: ${alert.title}`,
  text: `${alertText(alert, channel)}\n`,
});

/** A test: nothing has happened. */
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
