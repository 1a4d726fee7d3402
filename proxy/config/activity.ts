/**
 * What a proxy's status port says about calls, for the console: the most recent ones, and counts of the last hour. There
 * are no bodies, keys, addresses or headers in it.
 */
import { z } from "zod";

const text = z.string().max(2_048).catch("");
const count = z.number().catch(0);
const maybe = z.number().nullable().catch(null);

export const recentAttempt = z.object({
  provider: text,
  target: text,
  model: text,
  outcome: text,
  durationMs: count,
  /** The server of a pool that took it. `chosenBy`: Picker, LeastLoad or Prefix. */
  server: z.object({ address: text, chosenBy: text }).optional().catch(undefined),
  cause: text.optional(),
});

export const recentCall = z.object({
  requestId: text,
  endedMs: count,
  durationMs: count,
  firstByteMs: maybe,
  /** The namespace of the caller's key, or else of the policy. "" if the call has neither. */
  namespace: text,
  operation: text,
  route: text,
  model: text,
  target: text,
  provider: text,
  upstreamModel: text,
  region: text,
  key: text,
  user: text,
  team: text,
  role: text,
  country: text,
  status: count,
  code: z.string().max(64).nullable().catch(null),
  /** Who can fix the failure; null if there is none. */
  blame: z.enum(["caller", "policy", "provider", "gateway"]).nullable().catch(null),
  cause: z.string().max(2_048).nullable().catch(null),
  /** How an answer ended that did not complete. */
  ending: z.enum(["complete", "broken", "abandoned", "stalled"]).catch("complete"),
  stream: z.boolean().catch(false),
  promptTokens: maybe,
  cachedTokens: maybe,
  completionTokens: maybe,
  estimated: z.boolean().catch(false),
  costNanoUsd: maybe,
  cache: z.enum(["hit", "semantic", "miss", "bypass"]).nullable().catch(null),
  masked: z.record(z.string(), z.number()).nullable().catch(null),
  dropped: z.array(text).catch([]),
  attempts: z.array(recentAttempt).catch([]),
});
export type RecentCall = z.output<typeof recentCall>;

/** In the order of a slot's numbers. `errors` are failures of providers or the gateway, `refused` all others. */
export const trafficFigures = [
  "calls",
  "errors",
  "refused",
  "promptTokens",
  "completionTokens",
  "costNanoUsd",
  "savedNanoUsd",
  "cacheHits",
] as const;
export type TrafficFigure = (typeof trafficFigures)[number];

/** Upper bounds of a slot's latency counts, which follow its figures; one further count is for slower answers. */
export const trafficLatencyBoundsMs: readonly number[] = [
  50, 100, 200, 400, 800, 1_500, 3_000, 6_000, 12_000, 30_000, 60_000,
];

export const trafficSlotMs = 30_000;
export const trafficSlots = 120;

export const trafficSeries = z.object({
  /** Calls by namespace, policy and target, or attempts by provider. */
  kind: z.enum(["call", "attempt"]),
  namespace: text,
  route: text,
  target: text,
  provider: text,
  /** Slots in which something happened: its number (epoch milliseconds / trafficSlotMs), and its numbers. */
  slots: z.array(z.tuple([z.number(), z.array(z.number()).max(64)])).max(trafficSlots),
});
export type TrafficSeries = z.output<typeof trafficSeries>;

/** Counts of a namespace since the proxy started. */
export const namespaceMarks = z.object({
  namespace: text,
  /** Masked values by type, and failures by code. */
  masked: z.record(z.string(), z.number()).catch({}),
  failures: z.record(z.string(), z.number()).catch({}),
});
export type NamespaceMarks = z.output<typeof namespaceMarks>;

export const activity = z.object({
  instance: z.string().max(64),
  startedMs: count,
  calls: z.array(recentCall).catch([]),
  series: z.array(trafficSeries).catch([]),
  marks: z.array(namespaceMarks).catch([]),
});
export type Activity = z.output<typeof activity>;
