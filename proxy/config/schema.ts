/**
 * The contract between operator and proxy: what is rendered, under which names, and what a proxy accepts.
 *
 * A rendered configuration is a set of small JSON documents, each in a ConfigMap key (or a file) of the same name:
 *
 *   manifest.json     revision, and the SHA-256 of every document that belongs to it
 *   config.json       settings, providers, budgets
 *   routes-N.json     routes, spread by id over a fixed number of shards
 *   seeds.json        what budgets had spent, for a store that has forgotten it; absent where there is nothing to tell
 *   keys-NN.json      key records, spread by digest over a fixed number of shards
 *
 * and one Secret: `pepper` (the HMAC key of all digests) and `cred-…` (provider credentials under names made from
 * their content, HMAC-SHA-256 with the pepper, so that a name tells nothing and a changed value gets a new name).
 *
 * Money is integer nano-USD; durations are integer milliseconds.
 */
import { z } from "zod";
import { type BudgetConfig, type BudgetSeed, budgetConfig, budgetSeed } from "./budget.ts";
import { identitySettings } from "./identity.ts";
import { limitConfig } from "./limits.ts";
import { maskConfig } from "./masking.ts";
import { builtinRoles, roleConfig } from "./roles.ts";
import { watchConfig } from "./watch.ts";

export { type BudgetConfig, budgetConfig };

/** Bumped when a reader of the version before could misread a document. A proxy accepts its own and the one before. */
export const schemaVersion = 1;
export const acceptedSchemaVersions: readonly number[] = [1];

export const routeShards = 8;
export const keyShards = 32;

const millis = z.int().min(0);
const nanoUsd = z.int().min(0);
/** `namespace/name` of the object that an entry was made from. */
const id = z.string();

export const price = z.object({
  /** nano-USD for a million tokens. */
  input: nanoUsd,
  cachedInput: nanoUsd,
  cacheWrite: nanoUsd,
  output: nanoUsd,
  reasoning: nanoUsd,
  /** Above these many prompt tokens, these prices hold for the whole request. */
  tiers: z
    .array(z.object({ aboveTokens: z.int().min(1), input: nanoUsd, cachedInput: nanoUsd, cacheWrite: nanoUsd, output: nanoUsd, reasoning: nanoUsd }))
    .default([]),
  source: z.enum(["override", "table"]),
});
export type Price = z.output<typeof price>;

export const quotaConfig = z.object({ requestsPerMinute: z.int().nullable(), tokensPerMinute: z.int().nullable() });
export type QuotaConfig = z.output<typeof quotaConfig>;

export const modelConfig = z.object({
  upstream: z.string(),
  sunset: z.string().nullable(),
  price: price.nullable(),
  maxOutputTokens: z.int().nullable(),
  contextTokens: z.int().nullable(),
  quota: quotaConfig.default({ requestsPerMinute: null, tokensPerMinute: null }),
});
export type ModelConfig = z.output<typeof modelConfig>;

export const healthCheckConfig = z.object({
  /** Below the endpoint's own path; begins with "/". */
  path: z.string(),
  intervalMs: z.int().min(1),
  timeoutMs: millis,
  expectedStatus: z.int(),
  failureThreshold: z.int().min(1),
  successThreshold: z.int().min(1),
});
export type HealthCheckConfig = z.output<typeof healthCheckConfig>;

/** Names of the entries in the Secret: certificate with its chain, and its key, both PEM. */
export const clientCertificateConfig = z.object({ certificate: z.string(), key: z.string() });
export type ClientCertificateConfig = z.output<typeof clientCertificateConfig>;

/** Whom to trust, PEM, null: the public authorities; the name to ask for, null: the endpoint's host; and what to show to a server that asks. */
export const upstreamTlsConfig = z.object({
  ca: z.string().nullable(),
  serverName: z.string().nullable(),
  clientCertificate: clientCertificateConfig.nullable().default(null),
});
export type UpstreamTlsConfig = z.output<typeof upstreamTlsConfig>;

export const providerConfig = z.object({
  id,
  type: z.string(),
  /** Base URL without a trailing slash. */
  endpoint: z.string(),
  allowPrivateEndpoint: z.boolean(),
  tls: upstreamTlsConfig.nullable().default(null),
  /** Credential field → name of the entry in the Secret. */
  credentials: z.record(z.string(), z.string()),
  options: z.record(z.string(), z.string()),
  region: z.string().nullable(),
  models: z.record(z.string(), modelConfig),
  unsupportedParameters: z.enum(["Drop", "Refuse"]),
  timeouts: z.object({ connectMs: millis, writeMs: millis.default(30_000), responseMs: millis, firstTokenMs: millis, idleMs: millis, totalMs: millis }),
  retry: z.object({ attempts: z.int().min(1), initialDelayMs: millis, maxDelayMs: millis, multiplier: z.number(), jitter: z.number() }),
  circuitBreaker: z.object({ failureThreshold: z.int(), successThreshold: z.int(), openForMs: millis, halfOpenRequests: z.int() }),
  quota: quotaConfig,
  /** null: only calls tell whether it is healthy. */
  healthCheck: healthCheckConfig.nullable().default(null),
  /** Absent: nobody watches it. */
  watch: watchConfig.optional(),
});
export type ProviderConfig = z.output<typeof providerConfig>;

const names = z.array(z.string()).nullable();

export const targetConfig = z.object({
  /** What rules call it. */
  name: z.string(),
  provider: id,
  /** The provider's model, or null for the one that the caller asked for. */
  model: z.string().nullable(),
  priority: z.int(),
  weight: z.int(),
});
export type TargetConfig = z.output<typeof targetConfig>;

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

export const canaryConfig = z.object({
  /** Tells this canary from a changed one, whose counts begin anew. */
  id: z.string(),
  /** Name of the target that is tried. */
  target: z.string(),
  /** Its share of the requests; 100 once it is promoted, 0 once it is rolled back. */
  percent: z.number().min(0).max(100),
});
export type CanaryConfig = z.output<typeof canaryConfig>;

/** Upper bounds of the buckets in which a canary's answers are counted by time; one more holds what is slower. */
export const canaryLatencyBoundsMs: readonly number[] = [
  50, 100, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 60_000, 120_000,
];

export const failureClass = z.enum(["RateLimited", "Unavailable", "Timeout", "ServerError", "Unauthorized"]);
export type FailureClass = z.output<typeof failureClass>;

const accessRules = {
  /** Networks in CIDR form, or single addresses. */
  networks: names.default(null),
  countries: z.object({ allow: names, deny: names }).nullable().default(null),
  /** Minutes of the day by the wall clock; `toMinute` not above `fromMinute` is on the day after. Days: 0 is Sunday. */
  hours: z
    .object({ fromMinute: z.int(), toMinute: z.int(), timeZone: z.string(), days: z.array(z.int()) })
    .nullable()
    .default(null),
  consent: z.object({ header: z.string(), value: z.string() }).nullable().default(null),
  /** Regions of providers that may see the data. */
  regions: names.default(null),
};

/** What of a request may be left out of a cache's key. */
export const cacheKeyPart = z.enum(["Temperature", "TopP", "MaxTokens", "Seed", "Stop", "User"]);
export type CacheKeyPart = z.output<typeof cacheKeyPart>;

/** Answers to questions that mean the same. */
export const semanticCacheConfig = z.object({
  /** What makes vectors of texts. */
  provider: id,
  model: z.string(),
  /** Least cosine similarity of a hit. */
  threshold: z.number().min(0).max(1),
  /** Similarities are measured, and nothing is served by them. */
  shadow: z.boolean(),
  timeoutMs: millis,
  maxEntries: z.int().min(1),
});
export type SemanticCacheConfig = z.output<typeof semanticCacheConfig>;

export const cacheConfig = z.object({
  ttlMs: millis,
  maxEntries: z.int().min(1),
  scope: z.enum(["ApiKey", "User", "Team", "Namespace", "Shared"]),
  ignore: z.array(cacheKeyPart),
  temperatureAtMost: z.number().nullable(),
  maxTokensBelow: z.int().nullable(),
  semantic: semanticCacheConfig.nullable().default(null),
});
export type CacheConfig = z.output<typeof cacheConfig>;

/** What the strategy LeastLatency goes by. */
export const leastLatencyConfig = z.object({ windowMs: millis, samples: z.int().min(1), minimumSamples: z.int().min(1) });
export type LeastLatencyConfig = z.output<typeof leastLatencyConfig>;

export const guardConfig = z.object({
  deny: z.array(z.string()),
  allow: z.array(z.string()).nullable(),
  maxPromptBytes: z.int().nullable(),
  exemptRoles: z.array(z.string()),
  /** null: nothing is masked. */
  mask: maskConfig.nullable().default(null),
});
export type GuardConfig = z.output<typeof guardConfig>;

export const resourceKind = z.enum(["Files", "Batches", "FineTuning"]);
export type ResourceKind = z.output<typeof resourceKind>;

export const routeConfig = z.object({
  id,
  /** "" stands for /v1. */
  pathPrefix: z.string(),
  /** null: whatever is asked for under pathPrefix. */
  models: z.array(z.string()).nullable(),
  /** Namespaces whose keys may use it, or "*". */
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
    affinity: z.object({ by: z.enum(["User", "ApiKey", "Header"]), header: z.string().nullable() }).nullable(),
    rules: z.array(ruleConfig),
    canary: canaryConfig.nullable().default(null),
  }),
  /** What passes through to a provider as it is. */
  resources: z
    .object({ provider: id, kinds: z.array(resourceKind) })
    .nullable()
    .default(null),
  guard: guardConfig.nullable().default(null),
  cache: cacheConfig.nullable().default(null),
  limits: z.array(limitConfig).default([]),
  /** required: a call is made only once its record is safe. bodies: records have requests and answers, masked. */
  audit: z.object({ required: z.boolean(), bodies: z.boolean() }).default({ required: false, bodies: false }),
  logging: z.object({ statistics: z.boolean(), payloads: z.boolean() }),
  /** Absent: nobody watches it. */
  watch: watchConfig.optional(),
});
export type RouteConfig = z.output<typeof routeConfig>;

/** What a key may do for clients that can't keep it. */
export const clientTokenRight = z.object({
  /** Origins that its tokens are bound to; null: tokens for any client. */
  origins: names,
  maxLifeMs: z.int().min(1).max(3_600_000),
});

export const keyRecord = z.object({
  /** HMAC-SHA-256 of the clear key with the pepper, lower-case hex. */
  digest: z.string().length(64),
  id,
  user: z.string(),
  team: z.string().nullable(),
  role: z.string(),
  tags: z.array(z.string()),
  models: names,
  expiresAtMs: z.int().nullable(),
  /** The key before a rotation, which is accepted until its grace is over. */
  previous: z.object({ digest: z.string().length(64), untilMs: z.int() }).optional(),
  revoked: z.boolean(),
  /** Absent: none of its own. */
  limits: z.array(limitConfig).optional(),
  /** Budgets whose selector picks it. Absent: none. */
  budgets: z.array(z.string()).optional(),
  /** Absent: it makes no client tokens. */
  clientTokens: clientTokenRight.optional(),
});
export type KeyRecord = z.output<typeof keyRecord>;

/** Whom to believe about where a caller is. */
export const originSettings = z.object({
  /** Networks of proxies in front; only what they say of a caller's address is believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** The one header in which they say it. */
  forwardedHeader: z.enum(["X-Forwarded-For", "Forwarded"]).default("X-Forwarded-For"),
  /** Header in which they give the caller's country, in lower case. */
  countryHeader: z.string().nullable().default(null),
});
export type OriginSettings = z.output<typeof originSettings>;

export const settings = z.object({
  /** Largest request body in bytes; larger ones get 413. */
  maxBodyBytes: z.int().min(1),
  origins: originSettings.prefault({}),
  identity: identitySettings.prefault({}),
  /** Origins of web pages that may read answers. */
  cors: z.object({ allowedOrigins: z.array(z.string()).default([]) }).prefault({}),
  roles: z.record(z.string(), roleConfig).default({ ...builtinRoles }),
});
/** As given: what has a default may be absent. */
export type SettingsInput = z.input<typeof settings>;
export type Settings = z.output<typeof settings>;

/** The whole of it in memory: what `compile` makes and a snapshot is built from. */
export interface RenderedConfig {
  settings: Settings;
  /** Sorted by id, as all lists here are, so that equal input gives equal bytes. */
  providers: ProviderConfig[];
  routes: RouteConfig[];
  budgets: BudgetConfig[];
  keys: readonly KeyRecord[];
  /** What budgets had spent; in a document of its own, since it changes without anybody's changing an object. Absent: nothing. */
  seeds?: BudgetSeed[];
}

export const configDocument = z.object({
  schemaVersion: z.int(),
  settings,
  providers: z.array(providerConfig),
  budgets: z.array(budgetConfig),
});
export const routesDocument = z.object({ schemaVersion: z.int(), routes: z.array(routeConfig) });
export const seedsDocument = z.object({ schemaVersion: z.int(), seeds: z.array(budgetSeed) });
export const keysDocument = z.object({ schemaVersion: z.int(), keys: z.array(keyRecord) });

export const manifestDocument = z.object({
  schemaVersion: z.int(),
  /** The first 12 hex digits of the SHA-256 over the rest of the manifest. */
  revision: z.string(),
  /** SHA-256 of the pepper, lower-case hex. */
  pepperId: z.string(),
  /** Document name → SHA-256 of its bytes, lower-case hex. */
  documents: z.record(z.string(), z.string()),
  /** Names of the credentials in use; a name is derived from its content. */
  credentials: z.array(z.string()),
});
export type Manifest = z.output<typeof manifestDocument>;

/** Everything that is published, as bytes under names. */
export interface PublishedConfig {
  manifest: Manifest;
  /** manifest.json included. */
  documents: Record<string, string>;
}
