/** Providers in the contract: how to reach each, what its models cost and can hold, and its limits. */
import { z } from "zod";
import { id, millis } from "./basics.ts";
import { cloudIdentityConfig } from "./cloud-identity.ts";
import { discoveryConfig } from "./discovery.ts";
import { poolConfig } from "./pool.ts";
import { price } from "./price.ts";
import { watchConfig } from "./watch.ts";

export const quotaConfig = z.object({ requestsPerMinute: z.int().nullable(), tokensPerMinute: z.int().nullable() });
export type QuotaConfig = z.output<typeof quotaConfig>;

/** What a model accepts, where the LLMProvider says so. */
const modelCapabilities = z.object({
  reasoningEfforts: z.array(z.string()).optional(),
  thinking: z.array(z.enum(["adaptive", "enabled", "disabled", "between_tools"])).optional(),
  sampling: z.boolean().optional(),
  jsonSchema: z.boolean().optional(),
});

export const modelConfig = z.object({
  upstream: z.string(),
  sunset: z.string().nullable(),
  price: price.nullable(),
  maxOutputTokens: z.int().nullable(),
  contextTokens: z.int().nullable(),
  capabilities: modelCapabilities.optional(),
  /** Set if the provider's own list has it, rather than the object. */
  discovered: z.literal(true).optional(),
  quota: quotaConfig.default({ requestsPerMinute: null, tokensPerMinute: null }),
});
export type ModelConfig = z.output<typeof modelConfig>;

export const healthCheckConfig = z.object({
  /** Relative to the endpoint's path; begins with "/". */
  path: z.string(),
  intervalMs: z.int().min(1),
  timeoutMs: millis,
  expectedStatus: z.int(),
  failureThreshold: z.int().min(1),
  successThreshold: z.int().min(1),
});
export type HealthCheckConfig = z.output<typeof healthCheckConfig>;

/** Names of the entries in the Secret: the certificate with its chain, and its key, both PEM. */
export const clientCertificateConfig = z.object({ certificate: z.string(), key: z.string() });
export type ClientCertificateConfig = z.output<typeof clientCertificateConfig>;

/**
 * `ca`: PEM, null for the public authorities. `serverName`: null for the endpoint's host. `clientCertificate`:
 * presented to a server that requests one.
 */
export const upstreamTlsConfig = z.object({
  ca: z.string().nullable(),
  serverName: z.string().nullable(),
  clientCertificate: clientCertificateConfig.nullable().default(null),
});
export type UpstreamTlsConfig = z.output<typeof upstreamTlsConfig>;

/** What calls carry under a name. `secret`: name of the entry in the Secret that holds the value. */
const addedValue = z.union([z.object({ value: z.string() }), z.object({ secret: z.string() })]);
export type AddedValue = z.output<typeof addedValue>;

export const providerConfig = z.object({
  id,
  type: z.string(),
  /** Base URL without a trailing slash. */
  endpoint: z.string(),
  allowPrivateEndpoint: z.boolean(),
  tls: upstreamTlsConfig.nullable().default(null),
  /**
   * TLS to the service that issues tokens for its credential. If absent: the public authorities and no client
   * certificate.
   */
  tokenTls: upstreamTlsConfig.optional(),
  /** Credential field → name of the entry in the Secret. */
  credentials: z.record(z.string(), z.string()),
  /** Absent if the credential is in a Secret or there is none. */
  identity: cloudIdentityConfig.optional(),
  /** Headers and query parameters that every call carries. Absent if there are none. */
  headers: z.record(z.string(), addedValue).optional(),
  query: z.record(z.string(), addedValue).optional(),
  options: z.record(z.string(), z.string()),
  region: z.string().nullable(),
  models: z.record(z.string(), modelConfig),
  unsupportedParameters: z.enum(["Drop", "Refuse"]),
  timeouts: z.object({
    connectMs: millis,
    writeMs: millis.default(30_000),
    responseMs: millis,
    firstTokenMs: millis,
    idleMs: millis,
    totalMs: millis,
  }),
  retry: z.object({
    attempts: z.int().min(1),
    initialDelayMs: millis,
    maxDelayMs: millis,
    multiplier: z.number(),
    jitter: z.number(),
  }),
  circuitBreaker: z.object({
    failureThreshold: z.int(),
    successThreshold: z.int(),
    openForMs: millis,
    halfOpenRequests: z.int(),
  }),
  quota: quotaConfig,
  /** null if health is known from calls only. */
  healthCheck: healthCheckConfig.nullable().default(null),
  /** Absent if the endpoint is one server, or balances its load itself. */
  pool: poolConfig.optional(),
  /** Absent if its models are not discovered. */
  discovery: discoveryConfig.optional(),
  /** Absent if no alerts watch it. */
  watch: watchConfig.optional(),
});
export type ProviderConfig = z.output<typeof providerConfig>;
