/** `LLMProvider`: one account at one provider of language models. */
import { z } from "zod";
import { alertTest } from "./alerts.ts";
import { endpoint } from "./endpoint.ts";
import { alertsNeedWhen, objectAlerts, providerAlerts, providerAlertWhen } from "./object-alerts.ts";
import { modelPrice } from "./price.ts";
import { providerTypes } from "./provider-types.generated.ts";
import { allowedNamespaces, day, interval, modelName, secretKeyRef, statusBase, timer } from "./scalars.ts";
import { tokenService, upstreamTls } from "./upstream-tls.ts";
import { shortText, worded } from "./worded.ts";

const quota = z.strictObject({
  requestsPerMinute: z.int().min(1).max(1_000_000_000).optional().describe("Requests that it takes in a minute."),
  tokensPerMinute: z.int().min(1).max(1_000_000_000_000).optional().describe("Tokens that it takes in a minute."),
});

const model = z.strictObject({
  name: modelName.describe("The name that routes use."),
  upstream: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe("The provider's own name or pinned version, deployment name for Azure. Absent: the same as name."),
  sunset: day
    .optional()
    .describe(
      "The day (YYYY-MM-DD, UTC) on which the provider withdraws this model; answers then carry a Sunset header.",
    ),
  price: modelPrice.optional(),
  maxOutputTokens: z.int().min(1).max(10_000_000).optional().describe("The most tokens that one answer can have."),
  contextTokens: z.int().min(1).max(100_000_000).optional().describe("The size of the context window in tokens."),
  quota: quota.optional().describe("What the provider allows for this model, besides what it allows over all models."),
});

export const llmProviderSpec = z
  .strictObject({
    type: z.enum(providerTypes).describe("Which provider's protocol is spoken."),
    endpoint: endpoint.optional().describe("Base URL. Defaulted where the type has one."),
    allowPrivateEndpoint: z
      .boolean()
      .default(false)
      .describe(
        "Let the endpoint resolve to private, loopback or cluster addresses: an on-premises server. The platform team names the namespaces that may.",
      ),
    tls: upstreamTls.optional(),
    tokenService: tokenService.optional(),
    credentials: z
      .strictObject({ secretRef: secretKeyRef })
      .optional()
      .describe("Where the provider's key is. Needed unless the type works without one."),
    options: z
      .record(z.string().max(63), z.string().max(512))
      .optional()
      .describe("Settings of the provider type, such as apiVersion for AzureOpenAI; docs/providers.md lists them."),
    region: z.string().min(1).max(63).optional().describe("Where the provider processes data, for residency rules."),
    models: z
      .array(model)
      .min(1)
      .max(256)
      .meta({ listType: "map", listMapKeys: ["name"] })
      .describe("The models that routes may use."),
    unsupportedParameters: z
      .enum(["Drop", "Refuse"])
      .default("Drop")
      .describe(
        "What happens to a parameter that this provider lacks and that does not change the meaning of the request.",
      ),
    timeouts: z
      .strictObject({
        connect: timer.default("10s").describe("To establish a connection, TLS included."),
        write: timer
          .default("30s")
          .describe("While sending a request, from one step that the provider takes of it to the next."),
        response: timer
          .default("10m")
          .describe("From sending a request that is not streamed to the first byte of its answer."),
        firstToken: timer
          .default("120s")
          .describe("From sending a streamed request to the first byte of the answer's body."),
        idle: timer.default("60s").describe("Between two reads of an answer."),
        total: timer.default("30m").describe("For the whole answer."),
      })
      .prefault({})
      .describe("How long each part of a call may take."),
    retry: z
      .strictObject({
        attempts: z.int().min(1).max(10).default(2).describe("Attempts at this provider, the first one included."),
        initialDelay: timer.default("200ms").describe("Wait before the second attempt."),
        maxDelay: timer.default("5s").describe("Longest wait between two attempts."),
        multiplier: z.int().min(1).max(10).default(2).describe("Each wait is the one before times this."),
        jitter: worded(
          shortText,
          /^(0(\.[0-9]{1,3})?|1(\.0{1,3})?)$/,
          'must be a share in quotes from 0 to 1 with at most three digits after the point, such as "0.2"',
          [[/%/, 'must be a share and not percent: "0.2" for 20%']],
        )
          .default("0.2")
          .describe("Share of each delay that is random, 0 to 1."),
      })
      .prefault({})
      .describe("Repeated attempts at this provider, before the first byte reached the caller."),
    circuitBreaker: z
      .strictObject({
        failureThreshold: z.int().min(1).max(1000).default(5).describe("Consecutive failures that open the breaker."),
        successThreshold: z.int().min(1).max(100).default(2).describe("Successes in half-open state that close it."),
        openFor: timer.default("30s").describe("Time without calls before trials are let through."),
        halfOpenRequests: z.int().min(1).max(100).default(3).describe("Trials at once in half-open state."),
      })
      .prefault({})
      .describe("Leaves a failing provider alone for a while."),
    quota: quota.optional().describe("What the provider allows over all models; traffic moves on before it refuses."),
    healthCheck: z
      .strictObject({
        path: worded(
          z.string().max(512),
          /^\/[!-~]*$/,
          "must be a path that begins with / and has no spaces, such as /models",
          [
            [
              /^https?:/,
              "must be a path that begins with /, such as /models: it goes after spec.endpoint, whose host is asked",
            ],
          ],
        ).describe(
          "Path below the endpoint, asked with GET and the provider's credentials, such as /models. Choose one that costs nothing.",
        ),
        interval: interval.default("30s").describe("Time between two checks of one proxy, give or take a tenth."),
        timeout: timer.default("5s").describe("An answer later than this is a failure."),
        expectedStatus: z.int().min(200).max(599).default(200).describe("HTTP status of a healthy answer."),
        failureThreshold: z.int().min(1).max(100).default(3).describe("Consecutive failures that make it unhealthy."),
        successThreshold: z
          .int()
          .min(1)
          .max(100)
          .default(1)
          .describe("Consecutive successes that make it healthy again."),
      })
      .optional()
      .describe(
        "Each proxy asks by itself whether the provider answers, and calls an unhealthy one only when nothing else is left. Absent: only calls tell.",
      ),
    allowedNamespaces: allowedNamespaces
      .prefault({})
      .describe("Which namespaces' policies may route to this provider."),
    alertWhen: providerAlertWhen.optional(),
    alerts: providerAlerts.optional(),
  })
  .meta({
    cel: [
      alertsNeedWhen,
      {
        rule: "!has(self.alertWhen) || !has(self.alertWhen.unhealthy) || !self.alertWhen.unhealthy || has(self.healthCheck)",
        message: "alertWhen.unhealthy goes by healthCheck: set that, or unhealthy to false",
      },
      {
        rule: "!has(self.tls) || !has(self.endpoint) || self.endpoint.startsWith('https:')",
        message: "spec.tls needs an endpoint that begins with https://",
      },
    ],
  })
  .describe("What is wanted of the provider.");
export type LLMProviderSpec = z.output<typeof llmProviderSpec>;

export const llmProviderStatus = z
  .strictObject({
    ...statusBase,
    models: z.int().min(0).optional().describe("How many models the provider serves."),
    endpoint: z.string().max(1024).optional().describe("The base URL in use, without credentials."),
    alerts: objectAlerts.optional(),
    alertTest: alertTest.optional(),
  })
  .describe("What is the case.");
