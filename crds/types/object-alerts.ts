/** Alerts of providers and policies: their events, and their part of the status. */
import { z } from "zod";
import { channels } from "./alerts.ts";
import { sharePattern, threshold, time } from "./canary.ts";
import { durationHints } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

export const providerEvents = ["BreakerOpen", "Unhealthy", "ErrorRate", "Latency", "FirstToken"] as const;
export const policyEvents = ["Failover", "ErrorRate", "Latency", "FirstToken"] as const;
export const objectAlertEvents = [
  "BreakerOpen",
  "Unhealthy",
  "Failover",
  "ErrorRate",
  "Latency",
  "FirstToken",
] as const;
export type ObjectAlertEvent = (typeof objectAlertEvents)[number];

/** Placeholders that a message may use. */
export const objectAlertFacts = [
  "object",
  "event",
  "state",
  "value",
  "bound",
  "detail",
  "since",
  "console",
  "dashboard",
] as const;

const measured = (calls: string) => ({
  errorRate: threshold(">", sharePattern, "5%")
    .optional()
    .describe(`Share of the ${calls} that fail, such as ">5%". Callers' own mistakes don't count. Event ErrorRate.`),
  latencyP95: threshold(">", time, "30s")
    .optional()
    .describe(`95th percentile of the time to the last byte of an answer, such as ">30s". Event Latency.`),
  firstTokenP95: threshold(">", time, "2s")
    .optional()
    .describe(`95th percentile of the time to the first byte of a stream, such as ">2s". Event FirstToken.`),
  window: worded(
    shortText,
    /^([1-9]|[1-5][0-9]|60)m$|^1h$/,
    "must be whole minutes from 1m to 60m, or 1h",
    durationHints("5m, 15m or 1h"),
  )
    .default("5m")
    .describe("Length of the sliding window for the figures."),
  minimumRequests: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(20)
    .describe(`Fewer ${calls} than this in the window are not judged.`),
});

const what =
  "Conditions to report, across all proxies: once when one begins and once when it ends, by an Event, in status.alerts and through alerts.";

/** A rule for every kind that has both. */
export const alertsNeedWhen = {
  rule: "!has(self.alerts) || has(self.alertWhen)",
  message: "set alertWhen as well: without it alerts has nothing to report",
};

export const providerAlertWhen = z
  .strictObject({
    breakerOpen: z
      .boolean()
      .default(true)
      .describe("A model's circuit breaker is open on a proxy, or opened within the window. Event BreakerOpen."),
    unhealthy: z
      .boolean()
      .optional()
      .describe("healthCheck fails on a proxy. Default: true if healthCheck is set. Event Unhealthy."),
    ...measured("attempts"),
  })
  .meta({
    cel: [
      {
        rule: "self.breakerOpen || !has(self.unhealthy) || self.unhealthy || has(self.errorRate) || has(self.latencyP95) || has(self.firstTokenP95)",
        message: "set at least one of breakerOpen, unhealthy, errorRate, latencyP95 and firstTokenP95",
      },
    ],
  })
  .describe(what);
export type ProviderAlertWhen = z.output<typeof providerAlertWhen>;

export const policyAlertWhen = z
  .strictObject({
    failover: threshold(">", sharePattern, "5%")
      .optional()
      .describe(
        'Share of the calls served by another provider than the preferred one, such as ">5%"; ">0%" is any. Event Failover.',
      ),
    ...measured("calls"),
  })
  .meta({
    cel: [
      {
        rule: "has(self.failover) || has(self.errorRate) || has(self.latencyP95) || has(self.firstTokenP95)",
        message: "set at least one of failover, errorRate, latencyP95 and firstTokenP95",
      },
    ],
  })
  .describe(what);
export type PolicyAlertWhen = z.output<typeof policyAlertWhen>;

const who =
  "Channels to notify of what alertWhen names, once when it begins and once when it ends. Kubernetes Events are recorded in any case.";
export const providerAlerts = channels(providerEvents, objectAlertFacts, who);
export const policyAlerts = channels(policyEvents, objectAlertFacts, who);

const channelIds = z.array(z.string().max(64)).max(8).meta({ listType: "atomic" });

export const objectAlerts = z
  .array(
    z
      .strictObject({
        event: z.enum(objectAlertEvents).describe("What happened."),
        state: z.enum(["Active", "Over"]).describe("Whether it still applies."),
        since: z.string().max(40).describe("When it was detected."),
        over: z.string().max(40).optional().describe("When it ended."),
        ending: z
          .enum(["Recovered", "NotWatched"])
          .optional()
          .describe("Why it ended: the condition no longer holds, or alertWhen no longer names it."),
        value: z.string().max(256).describe("The measured value when it began."),
        bound: z.string().max(32).describe("The bound from alertWhen; empty if there is none."),
        detail: z.string().max(512).describe("Description in a sentence."),
        told: channelIds.describe("Channels that were notified of the start, or for which delivery was given up."),
        toldOver: channelIds.describe("Channels that were notified of the end, or for which delivery was given up."),
      })
      .describe("One event."),
  )
  .max(8)
  .meta({ listType: "map", listMapKeys: ["event"] })
  .describe("Last alert of each event in alertWhen.");
export type ObjectAlert = z.output<typeof objectAlerts>[number];
