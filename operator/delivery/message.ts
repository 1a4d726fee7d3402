/** What an alert says, in each channel's own form. Pure. */
import { createHash } from "node:crypto";
import { type Channel, filled } from "../compile/alerts.ts";

export type Severity = "info" | "warning" | "critical";

export interface Alert {
  /** Same for the same event: a receiver may tell by it what it has had already. */
  key: string;
  /** Same from the beginning of something to its end, and for the next time. */
  incident: string;
  event: string;
  /** Over: what was told before is so no more. */
  state: "Active" | "Over";
  severity: Severity;
  /** `Kind/namespace/name` */
  about: string;
  /** In a line. */
  title: string;
  /** In a sentence or two. */
  text: string;
  facts: Readonly<Record<string, string>>;
  atMs: number;
}

export const alertText = (alert: Alert, channel: Channel): string =>
  channel.message === null ? alert.text : filled(channel.message, alert.facts);

/** Slack's control characters, as its formatting guide has them. */
const slackEscaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Body of an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks"). */
export const slackBody = (alert: Alert, channel: Channel): object => ({
  text: slackEscaped(alertText(alert, channel)),
});

const longestDedupKey = 255;

/** PagerDuty takes so many characters; what is cut off must not make two incidents one. */
function dedupKey(incident: string): string {
  if (incident.length <= longestDedupKey) return incident;
  const digest = createHash("sha256").update(incident).digest("hex");
  return `${incident.slice(0, longestDedupKey - digest.length - 1)}|${digest}`;
}

/** An event of PagerDuty's Events API v2; by `dedup_key` a repeated one is no second incident, and one that is over ends it. */
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

/** Nothing has happened: a channel is tried. */
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
