/** What an alert says, in each channel's own form. Pure. */
import { type Channel, filled, type MessageFact } from "../compile/alerts.ts";

export type Severity = "info" | "warning" | "critical";

export interface Alert {
  /** Same for the same event: a receiver may tell by it what it has had already. */
  key: string;
  event: "Threshold" | "Spike" | "Test";
  severity: Severity;
  /** `Budget/namespace/name` */
  about: string;
  facts: Readonly<Record<MessageFact, string>>;
  atMs: number;
}

export function standardText({ event, facts }: Alert): string {
  const whose = facts.subject === "" ? "" : ` for ${facts.subject}`;
  const until = facts.resetsAt === "" ? "" : ` It resets at ${facts.resetsAt}.`;
  if (event === "Test") return `Test alert of the budget ${facts.budget}: this channel works. Nothing has happened.`;
  if (event === "Spike") return `Spending under the budget ${facts.budget} is at ${facts.percent} % of a usual period: USD ${facts.spent} so far.${until}`;
  return `The budget ${facts.budget}${whose} has reached ${facts.percent} %: USD ${facts.spent} of ${facts.amount}.${until}`;
}

export const textOf = (alert: Alert, channel: Channel): string => (channel.message === null ? standardText(alert) : filled(channel.message, alert.facts));

/** Slack's control characters, as its formatting guide has them. */
const slackEscaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Body of an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks"). */
export const slackBody = (alert: Alert, channel: Channel): object => ({ text: slackEscaped(textOf(alert, channel)) });

/** An event of PagerDuty's Events API v2; `dedup_key` makes a repeated one no second incident. */
export const pagerDutyBody = (alert: Alert, channel: Channel, routingKey: string): object => ({
  routing_key: routingKey,
  event_action: "trigger",
  dedup_key: alert.key.slice(0, 255),
  payload: {
    summary: textOf(alert, channel).slice(0, 1024),
    source: alert.about,
    severity: alert.severity,
    timestamp: new Date(alert.atMs).toISOString(),
    component: "sluice",
    class: alert.event,
    custom_details: alert.facts,
  },
});

export const webhookBody = (alert: Alert, channel: Channel): object => ({
  version: 1,
  key: alert.key,
  event: alert.event,
  severity: alert.severity,
  object: alert.about,
  at: new Date(alert.atMs).toISOString(),
  text: textOf(alert, channel),
  facts: alert.facts,
});

export const mailOf = (alert: Alert, channel: Channel): { subject: string; text: string } => ({
  subject: `Sluice: ${alert.event === "Test" ? "test alert" : alert.event === "Spike" ? "spending jumps" : `${alert.facts.percent} %`} (${alert.facts.budget})`,
  text: `${textOf(alert, channel)}\n`,
});
