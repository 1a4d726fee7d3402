/**
 * `RoutingPolicy`: what is served, to whom, and by which providers. Fields are in the order in which a request meets
 * them.
 */
import { z } from "zod";
import { access } from "./access.ts";
import { alertTest } from "./alerts.ts";
import { canary, canaryStatus } from "./canary.ts";
import { guard } from "./guard.ts";
import { policyLimits } from "./limits.ts";
import { alertsNeedWhen, objectAlerts, policyAlerts, policyAlertWhen } from "./object-alerts.ts";
import { resources } from "./resources.ts";
import { responseCache } from "./response-cache.ts";
import {
  allowedNamespaces,
  callerName,
  headerName,
  modelNameOrPattern,
  objectName,
  subject,
  timer,
} from "./scalars.ts";
import { shadow } from "./shadow.ts";
import { statusBase } from "./status-base.ts";
import { requestParameters, target } from "./target.ts";
import { worded } from "./worded.ts";

const match = z
  .strictObject({
    models: z
      .array(modelNameOrPattern)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe(
        "Models that callers ask for. A * stands for any characters: gpt-* serves what the providers have and no other policy names. A name comes before a pattern, and a longer prefix before a shorter one. Default: any model under pathPrefix.",
      ),
    pathPrefix: worded(
      z.string().max(128),
      /^(\/[a-z0-9]([a-z0-9_.-]*[a-z0-9])?)+$/,
      "must be a path in lower case that begins with / and doesn't end in /, such as /chat",
      [
        [/[*]/, "must be without *, such as /chat: what is below the path is served as well"],
        [/^https?:/, "must be the path alone, without scheme and host, such as /chat"],
      ],
    )
      .optional()
      .meta({
        cel: [
          {
            rule: "self != '/v1' && !self.startsWith('/v1/')",
            message: "pathPrefix must not lie under /v1, which serves every policy without a prefix",
          },
        ],
      })
      .describe("Serves under this path instead of /v1, as an SDK's base URL and as a bare POST."),
  })
  .meta({
    cel: [{ rule: "has(self.models) || has(self.pathPrefix)", message: "name at least one of models and pathPrefix" }],
  })
  .describe("Requests that this policy serves.");

const request = z
  .strictObject({
    defaults: requestParameters.optional().describe("Values for parameters that the caller leaves out."),
    overrides: requestParameters.optional().describe("Values that replace the caller's."),
    prompts: z
      .array(
        z.strictObject({
          role: z.enum(["system", "developer", "user"]).default("system").describe("Role of the message."),
          position: z
            .enum(["Prepend", "Append"])
            .default("Prepend")
            .describe("Position: before or after the caller's messages."),
          content: z
            .string()
            .min(1)
            .max(32_768)
            .describe("Text; {{user}}, {{team}}, {{role}}, {{model}} and {{date}} are filled in."),
        }),
      )
      .max(16)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Messages added to every chat request."),
  })
  .describe("Changes to requests.");

const when = z
  .strictObject({
    tags: z
      .array(callerName)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("The key has one of these tags."),
    roles: z
      .array(subject)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("The key has one of these roles."),
    teams: z
      .array(callerName)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("The key belongs to one of these teams."),
    users: z
      .array(callerName)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("The key belongs to one of these users."),
    models: z
      .array(modelNameOrPattern)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("The requested model, by names and patterns such as gpt-*."),
    headers: z
      .array(
        z.strictObject({
          name: headerName.describe("Name in lower case."),
          value: z.string().min(1).max(256).describe("Exact value."),
        }),
      )
      .min(1)
      .max(16)
      .optional()
      .meta({ listType: "map", listMapKeys: ["name"] })
      .describe("Headers that must all have exactly these values."),
    batchSize: z
      .strictObject({ greaterThan: z.int().min(0).max(1_000_000).describe("More than this many.") })
      .optional()
      .describe("Number of inputs of an embeddings request."),
    promptTokens: z
      .strictObject({ greaterThan: z.int().min(0).max(100_000_000).describe("More than this many.") })
      .optional()
      .describe("Estimated length of the prompt in tokens."),
  })
  .describe("Conditions that must all hold. A list holds if one of its entries does.");

const routing = z
  .strictObject({
    strategy: z
      .enum(["Priority", "RoundRobin", "Weighted", "LeastLatency", "LeastCost"])
      .default("Priority")
      .describe("How to choose among healthy targets."),
    targets: z.array(target).min(1).max(32).meta({ listType: "atomic" }).describe("Targets for requests."),
    fallbackOn: z
      .array(
        z.enum([
          "RateLimited",
          "Unavailable",
          "Timeout",
          "ServerError",
          "Unauthorized",
          "ContextLength",
          "ContentPolicy",
        ]),
      )
      .max(8)
      .default(["RateLimited", "Unavailable", "Timeout", "ServerError"])
      .meta({ listType: "set" })
      .describe(
        "Failures that move a request to the next target, before any content of the answer reached the caller. ContextLength: the target's model can't hold the prompt. ContentPolicy: its filter refused it. Empty: never.",
      ),
    leastLatency: z
      .strictObject({
        window: timer.default("5m").describe("Answers older than this don't count."),
        samples: z.int().min(1).max(1000).default(100).describe("Number of most recent answers that count."),
        minimumSamples: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .describe("A target with fewer answers than this is preferred, so that it can be measured."),
      })
      .meta({
        cel: [{ rule: "self.minimumSamples <= self.samples", message: "minimumSamples must not be above samples" }],
      })
      .prefault({})
      .describe("Settings of the strategy LeastLatency, which compares the median time to the first byte."),
    slowAfter: timer
      .optional()
      .describe(
        "A first token later than this moves the request to the next target. A target that was mostly slower in the last minute is tried after the others.",
      ),
    affinity: z
      .strictObject({
        by: z
          .enum(["User", "ApiKey", "Header", "Session"])
          .describe(
            "What is kept on its target. Session: each session of a coding agent or an application, so that its prompt stays in the provider's cache; the strategy decides where it begins.",
          ),
        header: headerName.optional().describe("Header whose value identifies a caller."),
      })
      .meta({
        cel: [{ rule: "(self.by == 'Header') == has(self.header)", message: "set header exactly when by is Header" }],
      })
      .optional()
      .describe("Keep a caller on one target while it is healthy."),
    rules: z
      .array(
        z.strictObject({
          when,
          use: z.array(objectName).min(1).max(32).meta({ listType: "atomic" }).describe("Names of targets, in order."),
        }),
      )
      .max(32)
      .optional()
      .meta({ listType: "atomic" })
      .describe("The first matching rule decides which targets are used."),
    canary: canary.optional(),
    shadow: shadow.optional(),
  })
  .describe("Which providers answer, and how one is chosen.");

const session = z
  .strictObject({
    header: headerName.describe(
      "Header that names a call's session. It takes precedence over those of clients such as Claude Code and Codex.",
    ),
  })
  .describe("How calls name their session.");

const logging = z
  .strictObject({
    statistics: z.boolean().default(true).describe("Write an access log line for each call."),
    payloads: z.boolean().default(false).describe("Write request and answer bodies to the log as well."),
  })
  .describe("What is logged.");

export const routingPolicySpec = z
  .strictObject({
    match,
    allowedNamespaces: allowedNamespaces
      .prefault({})
      .describe(
        "Namespaces whose keys may use this policy. Anything but Same takes effect only in namespaces that the installation allows to share.",
      ),
    access: access.prefault({}),
    request: request.optional(),
    session: session.optional(),
    routing,
    limits: policyLimits.optional(),
    guard: guard.optional(),
    resources: resources.optional(),
    cache: responseCache.optional(),
    audit: z
      .strictObject({
        required: z
          .boolean()
          .default(false)
          .describe(
            "Makes and completes a call only once its record is safe in a file or the store. Otherwise it gets 503, or its stream ends with an error event.",
          ),
        bodies: z
          .boolean()
          .default(false)
          .describe(
            "Adds requests and answers to records, masked, and sealed if the installation has sealing keys; at most 16 KiB each.",
          ),
      })
      .prefault({})
      .describe("Audit log of this policy's calls, if the installation has an audit log."),
    logging: logging.prefault({}),
    alertWhen: policyAlertWhen.optional(),
    alerts: policyAlerts.optional(),
  })
  .meta({
    cel: [
      alertsNeedWhen,
      {
        rule: "!self.access.anonymous || has(self.match.pathPrefix)",
        message: "an anonymous policy needs match.pathPrefix, to separate it from policies that need a key",
      },
    ],
  })
  .describe("Desired state of the policy.");
export type RoutingPolicySpec = z.output<typeof routingPolicySpec>;

export const routingPolicyStatus = z
  .strictObject({
    ...statusBase,
    targets: z.int().min(0).optional().describe("Number of usable targets."),
    canary: canaryStatus.optional(),
    alerts: objectAlerts.optional(),
    alertTest: alertTest.optional(),
  })
  .describe("Observed state.");
