/** Routes in the contract: which calls a route accepts, from whom, how it changes them, and where they go. */
import { z } from "zod";
import { id, millis, names, nanoUsd } from "./basics.ts";
import { cacheConfig } from "./cache.ts";
import { canaryConfig } from "./canary.ts";
import { limitConfig, sessionTimeConfig } from "./limits.ts";
import { maskConfig } from "./masking.ts";
import { watchConfig } from "./watch.ts";

export const targetConfig = z.object({
  /** The name that rules refer to. */
  name: z.string(),
  provider: id,
  /** The provider's model; null for the one that the caller asked for. */
  model: z.string().nullable(),
  priority: z.int(),
  weight: z.int(),
  /** Members of the body in place of the caller's and the route's. Absent if there are none. */
  parameters: z.record(z.string(), z.unknown()).optional(),
});
export type TargetConfig = z.output<typeof targetConfig>;

/** Copies of answered calls go to a second target. */
export const shadowConfig = z.object({
  target: targetConfig,
  /** From 0 to 100. */
  percent: z.number(),
  /** In each proxy. */
  maxConcurrent: z.int(),
  /** null for no limit. */
  nanoUsdPerDay: nanoUsd.nullable(),
});
export type ShadowConfig = z.output<typeof shadowConfig>;

export const ruleConfig = z.object({
  when: z.object({
    tags: names,
    roles: names,
    teams: names,
    users: names,
    models: names,
    headers: z.array(z.object({ name: z.string(), value: z.string() })),
    batchSizeAbove: z.int().nullable(),
    promptTokensAbove: z.int().nullable(),
  }),
  use: z.array(z.string()),
});
export type RuleConfig = z.output<typeof ruleConfig>;

/**
 * ContextLength and ContentPolicy are failures that a policy may fall back on, although neither means that the provider
 * is unhealthy.
 */
export const failureClass = z.enum([
  "RateLimited",
  "Unavailable",
  "Timeout",
  "ServerError",
  "Unauthorized",
  "ContextLength",
  "ContentPolicy",
]);
export type FailureClass = z.output<typeof failureClass>;

const accessRules = {
  /** Networks in CIDR notation, or single addresses. */
  networks: names.default(null),
  countries: z.object({ allow: names, deny: names }).nullable().default(null),
  /**
   * Minutes of the day in local time. If `toMinute` is not above `fromMinute`, it is on the next day. Days: 0 is
   * Sunday.
   */
  hours: z
    .object({ fromMinute: z.int(), toMinute: z.int(), timeZone: z.string(), days: z.array(z.int()) })
    .nullable()
    .default(null),
  consent: z.object({ header: z.string(), value: z.string() }).nullable().default(null),
  /** Regions of providers that may receive the data. */
  regions: names.default(null),
};

/** Settings of the LeastLatency strategy. */
export const leastLatencyConfig = z.object({
  windowMs: millis,
  samples: z.int().min(1),
  minimumSamples: z.int().min(1),
});
export type LeastLatencyConfig = z.output<typeof leastLatencyConfig>;

export const guardConfig = z.object({
  deny: z.array(z.string()),
  allow: z.array(z.string()).nullable(),
  maxPromptBytes: z.int().nullable(),
  exemptRoles: z.array(z.string()),
  /** null if nothing is masked. */
  mask: maskConfig.nullable().default(null),
});
export type GuardConfig = z.output<typeof guardConfig>;

export const resourceKind = z.enum(["Files", "Batches", "FineTuning"]);
export type ResourceKind = z.output<typeof resourceKind>;

export const routeConfig = z.object({
  id,
  /** "" means /v1. */
  pathPrefix: z.string(),
  /** null for any model requested under pathPrefix. */
  models: z.array(z.string()).nullable(),
  /** Namespaces whose keys may use the route, or "*". */
  consumers: z.union([z.literal("*"), z.array(z.string())]),
  access: z.object({ anonymous: z.boolean(), roles: names, teams: names, tags: names, ...accessRules }),
  request: z.object({
    defaults: z.record(z.string(), z.unknown()),
    overrides: z.record(z.string(), z.unknown()),
    prompts: z.array(z.object({ role: z.string(), position: z.enum(["Prepend", "Append"]), content: z.string() })),
  }),
  routing: z.object({
    strategy: z.enum(["Priority", "RoundRobin", "Weighted", "LeastLatency", "LeastCost"]),
    targets: z.array(targetConfig),
    fallbackOn: z.array(failureClass),
    slowAfterMs: millis.nullable(),
    leastLatency: leastLatencyConfig.default({ windowMs: 300_000, samples: 100, minimumSamples: 5 }),
    affinity: z
      .object({ by: z.enum(["User", "ApiKey", "Header", "Session"]), header: z.string().nullable() })
      .nullable(),
    rules: z.array(ruleConfig),
    canary: canaryConfig.nullable().default(null),
  }),
  /** Absent if no calls are copied. */
  shadow: shadowConfig.optional(),
  /** Header with the name of a call's session; absent if only those that clients send count. */
  sessionHeader: z.string().optional(),
  /** Endpoints passed through to a provider unchanged. */
  resources: z
    .object({
      provider: id,
      kinds: z.array(resourceKind),
      /** Whose API the provider has; absent for OpenAI's. */
      api: z.enum(["Messages"]).optional(),
    })
    .nullable()
    .default(null),
  guard: guardConfig.nullable().default(null),
  cache: cacheConfig.nullable().default(null),
  limits: z.array(limitConfig).default([]),
  /** Absent if sessions may last for any time. */
  sessionTime: sessionTimeConfig.optional(),
  /** required: a call is made only once its record is stored. bodies: records include requests and answers, masked. */
  audit: z.object({ required: z.boolean(), bodies: z.boolean() }).default({ required: false, bodies: false }),
  logging: z.object({ statistics: z.boolean(), payloads: z.boolean() }),
  /** Absent if no alerts watch it. */
  watch: watchConfig.optional(),
});
export type RouteConfig = z.output<typeof routeConfig>;
