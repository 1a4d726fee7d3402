/** `LLMProvider`: one account at one provider of language models. */
import { z } from "zod";
import { alertTest } from "./alerts.ts";
import { headers, query } from "./call-additions.ts";
import { endpoint } from "./endpoint.ts";
import { alertsNeedWhen, objectAlerts, providerAlerts, providerAlertWhen } from "./object-alerts.ts";
import { pool } from "./pool.ts";
import { modelPrice } from "./price.ts";
import { presetNames, providerTypes, typesWithPresets } from "./provider-types.generated.ts";
import { allowedNamespaces, day, interval, modelName, modelNameOrPattern, secretKeyRef, timer } from "./scalars.ts";
import { statusBase } from "./status-base.ts";
import { tokenService, upstreamTls } from "./upstream-tls.ts";
import { shortText, worded } from "./worded.ts";
import { workloadIdentity } from "./workload-identity.ts";

/** The defaults of `timeouts`. */
export const defaultTimeouts = {
  connect: "10s",
  write: "30s",
  response: "10m",
  firstToken: "120s",
  idle: "60s",
  total: "30m",
} as const;

/** Of `retry`. */
export const defaultDelays = { initialDelay: "200ms", maxDelay: "5s" } as const;

const quota = z.strictObject({
  requestsPerMinute: z.int().min(1).max(1_000_000_000).optional().describe("Requests per minute."),
  tokensPerMinute: z.int().min(1).max(1_000_000_000_000).optional().describe("Tokens per minute."),
});

const thinkingTypes = ["Adaptive", "Enabled", "Disabled", "BetweenTools"] as const;

const capabilities = z
  .strictObject({
    reasoningEfforts: z
      .array(z.enum(["none", "minimal", "low", "medium", "high", "xhigh", "max"]))
      .max(7)
      .meta({ listType: "set" })
      .optional()
      .describe(
        "Values of reasoning_effort that the model accepts. Others become the nearest; with none, it is left out.",
      ),
    thinking: z
      .array(z.enum(thinkingTypes))
      .max(4)
      .meta({ listType: "set" })
      .optional()
      .describe("Types of thinking that a Claude model accepts. Empty: it doesn't think."),
    sampling: z.boolean().optional().describe("Whether temperature, top_p and top_k may be set."),
    jsonSchema: z.boolean().optional().describe("Whether the model supports JSON schemas for its answers."),
  })
  .describe(
    "What the model accepts, for models that Sluice doesn't know or knows wrongly. What it doesn't accept is adapted or left out of translated calls.",
  );

const model = z.strictObject({
  name: modelName.describe("Name that policies use."),
  upstream: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe("The provider's name or pinned version; for Azure, the deployment. Default: same as name."),
  sunset: day
    .optional()
    .describe("Day (YYYY-MM-DD, UTC) on which the provider withdraws this model. Answers then carry a Sunset header."),
  price: modelPrice.optional(),
  priceAs: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe(
      "Name for looking up its price, if neither price nor upstream gives it: the model behind an Azure deployment or an application inference profile, such as gpt-4o-mini, or with the table's provider, such as anthropic/claude-sonnet-4-5.",
    ),
  maxOutputTokens: z.int().min(1).max(10_000_000).optional().describe("Largest number of tokens in one answer."),
  contextTokens: z.int().min(1).max(100_000_000).optional().describe("Size of the context window, in tokens."),
  capabilities: capabilities.optional(),
  quota: quota.optional().describe("The provider's limits for this model, in addition to its limits for all models."),
});

const percent = (most: number, pattern: RegExp) =>
  worded(
    shortText,
    pattern,
    `must be a number in quotes from 0 to ${most} with at most four digits after the point, such as "12.5"`,
    [[/%/, 'must be the number alone: "12.5" for 12.5%']],
  );

export const discountPercent = percent(100, /^(100(\.0{1,4})?|[1-9]?[0-9](\.[0-9]{1,4})?)$/);
export const markupPercent = percent(999, /^(0|[1-9][0-9]{0,2})(\.[0-9]{1,4})?$/);

const pricing = z
  .strictObject({
    from: z
      .string()
      .min(1)
      .max(64)
      .optional()
      .describe(
        "The provider in the published price table whose prices apply, such as groq, together or openrouter. Default: the type's own, or the one whose API is at the endpoint.",
      ),
    discountPercent: discountPercent
      .optional()
      .describe("Discount on the provider's list prices. Default: the installation's."),
    markupPercent: markupPercent.optional().describe("Markup on the discounted price. Default: the installation's."),
  })
  .describe("How to look up prices of models without a price of their own.");

const discovery = z
  .strictObject({
    models: z
      .array(modelNameOrPattern)
      .min(1)
      .max(64)
      .default(["*"])
      .meta({ listType: "set" })
      .describe("Names and patterns, such as gpt-*, of the models to add."),
    interval: interval.default("10m").describe("Interval between two reads by one proxy, plus or minus 10 %."),
    maxModels: z.int().min(1).max(256).default(100).describe("Largest number of models to add, in alphabetical order."),
  })
  .describe(
    "Adds the models that the provider lists, with prices from the published table. Models in spec.models keep their settings.",
  );

export const llmProviderSpec = z
  .strictObject({
    type: z.enum(providerTypes).describe("The provider's protocol."),
    preset: z
      .enum(presetNames)
      .optional()
      .describe(
        "A known service or server program: sets its endpoint, the options it needs, and where its prices are. docs/providers.md lists them.",
      ),
    endpoint: endpoint.optional().describe("Base URL. Default: that of the preset or type, if it has one."),
    allowPrivateEndpoint: z
      .boolean()
      .default(false)
      .describe(
        "Lets the endpoint resolve to private, loopback or cluster addresses, for an on-premises server. The installation's settings name the namespaces that may use this.",
      ),
    pool: pool.optional(),
    tls: upstreamTls.optional(),
    tokenService: tokenService.optional(),
    credentials: z
      .strictObject({ secretRef: secretKeyRef.optional(), workloadIdentity: workloadIdentity.optional() })
      .meta({
        cel: [
          {
            rule: "has(self.secretRef) != has(self.workloadIdentity)",
            message: "set exactly one of secretRef and workloadIdentity",
          },
        ],
      })
      .optional()
      .describe("How the gateway authenticates to the provider. Required unless the type works without."),
    headers: headers.optional(),
    query: query.optional(),
    options: z
      .record(z.string().max(63), z.string().max(512))
      .optional()
      .describe("Settings of the provider type, such as apiVersion for AzureOpenAI; docs/providers.md lists them."),
    pricing: pricing.optional(),
    region: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe("Region in which the provider processes data, for residency rules."),
    models: z
      .array(model)
      .max(256)
      .default([])
      .meta({ listType: "map", listMapKeys: ["name"] })
      .describe("Models that policies may use. Required unless discovery finds them."),
    discovery: discovery.optional(),
    unsupportedParameters: z
      .enum(["Drop", "Refuse"])
      .default("Drop")
      .describe("What to do with a parameter that this provider lacks and that doesn't change the request's meaning."),
    timeouts: z
      .strictObject({
        connect: timer.default(defaultTimeouts.connect).describe("Time to establish a connection, including TLS."),
        write: timer.default(defaultTimeouts.write).describe("Longest pause while sending a request."),
        response: timer
          .default(defaultTimeouts.response)
          .describe("Time to the first byte of an answer that is not streamed."),
        firstToken: timer.default(defaultTimeouts.firstToken).describe("Time to the first byte of a stream."),
        idle: timer.default(defaultTimeouts.idle).describe("Longest pause within an answer."),
        total: timer.default(defaultTimeouts.total).describe("Time for the whole answer."),
      })
      .prefault({})
      .describe("Time limits for the parts of a call."),
    retry: z
      .strictObject({
        attempts: z.int().min(1).max(10).default(2).describe("Attempts at this provider, including the first."),
        initialDelay: timer.default(defaultDelays.initialDelay).describe("Wait before the second attempt."),
        maxDelay: timer.default(defaultDelays.maxDelay).describe("Longest wait between two attempts."),
        multiplier: z.int().min(1).max(10).default(2).describe("Backoff multiplier applied after each attempt."),
        jitter: worded(
          shortText,
          /^(0(\.[0-9]{1,3})?|1(\.0{1,3})?)$/,
          'must be a share in quotes from 0 to 1 with at most three digits after the point, such as "0.2"',
          [[/%/, 'must be a share and not percent: "0.2" for 20%']],
        )
          .default("0.2")
          .describe("Random share of each delay, 0 to 1."),
      })
      .prefault({})
      .describe("Retries at this provider, before any content has reached the caller."),
    circuitBreaker: z
      .strictObject({
        failureThreshold: z.int().min(1).max(1000).default(5).describe("Consecutive failures that open the breaker."),
        successThreshold: z
          .int()
          .min(1)
          .max(100)
          .default(2)
          .describe("Successes in the half-open state that close the breaker."),
        openFor: timer.default("30s").describe("How long the breaker stays open before trials."),
        halfOpenRequests: z.int().min(1).max(100).default(3).describe("Concurrent trials in the half-open state."),
      })
      .prefault({})
      .describe("Circuit breaker: stops calling a failing model for a while."),
    quota: quota
      .optional()
      .describe(
        "The provider's limits for all models together. Traffic moves to another target before the provider refuses it.",
      ),
    healthCheck: z
      .strictObject({
        path: worded(
          z.string().max(512),
          /^\/[!-~]*$/,
          "must be a path that begins with / and has no spaces, such as /models",
          [[/^https?:/, "must be a path that begins with /, such as /models: it is appended to spec.endpoint"]],
        ).describe(
          "Path below the endpoint, requested by GET with the provider's credentials, such as /models. Choose one that is free of charge.",
        ),
        interval: interval.default("30s").describe("Interval between two checks by one proxy, plus or minus 10 %."),
        timeout: timer.default("5s").describe("Time after which a check has failed."),
        expectedStatus: z.int().min(200).max(599).default(200).describe("HTTP status of a healthy answer."),
        failureThreshold: z
          .int()
          .min(1)
          .max(100)
          .default(3)
          .describe("Consecutive failures after which the provider is unhealthy."),
        successThreshold: z
          .int()
          .min(1)
          .max(100)
          .default(1)
          .describe("Consecutive successes after which it is healthy again."),
      })
      .optional()
      .describe(
        "Active health check by each proxy. An unhealthy provider is called only if no other target is left. Default: health follows from calls alone.",
      ),
    allowedNamespaces: allowedNamespaces.prefault({}).describe("Namespaces whose policies may use this provider."),
    alertWhen: providerAlertWhen.optional(),
    alerts: providerAlerts.optional(),
  })
  .meta({
    cel: [
      alertsNeedWhen,
      {
        rule: `!has(self.preset) || self.type in [${typesWithPresets.map((type) => `'${type}'`).join(", ")}]`,
        message: `spec.preset needs type: ${typesWithPresets.join(" or ")}`,
      },
      {
        rule: "!has(self.alertWhen) || !has(self.alertWhen.unhealthy) || !self.alertWhen.unhealthy || has(self.healthCheck)",
        message: "alertWhen.unhealthy needs a healthCheck: set one, or set unhealthy to false",
      },
      {
        rule: "!has(self.pool) || (has(self.endpoint) && has(self.allowPrivateEndpoint) && self.allowPrivateEndpoint)",
        message:
          "spec.pool needs an endpoint and allowPrivateEndpoint: true, because its servers have private addresses",
      },
      {
        rule: "has(self.discovery) || (has(self.models) && size(self.models) > 0)",
        message: "name at least one model in spec.models, or set spec.discovery",
      },
      {
        rule: "!has(self.tls) || !has(self.endpoint) || self.endpoint.startsWith('https:')",
        message: "spec.tls needs an endpoint that begins with https://",
      },
    ],
  })
  .describe("Desired state of the provider.");
export type LLMProviderSpec = z.output<typeof llmProviderSpec>;

export const llmProviderStatus = z
  .strictObject({
    ...statusBase,
    models: z.int().min(0).optional().describe("Number of models."),
    endpoint: z.string().max(1024).optional().describe("The base URL in use, without credentials."),
    alerts: objectAlerts.optional(),
    alertTest: alertTest.optional(),
  })
  .describe("Observed state.");
