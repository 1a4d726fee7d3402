/** `RoutingPolicy`: what is served, to whom, and by which providers. It reads in the order that a request meets it. */
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
  modelName,
  namespaceName,
  objectName,
  statusBase,
  subject,
  timer,
} from "./scalars.ts";
import { worded } from "./worded.ts";

const match = z
  .strictObject({
    models: z
      .array(modelName)
      .min(1)
      .max(64)
      .optional()
      .meta({ listType: "set" })
      .describe("Model names that callers ask for. Absent: whatever is asked for under pathPrefix."),
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
      .describe("Serve under this path, as an SDK's base URL and as a bare POST, instead of under /v1."),
  })
  .meta({
    cel: [{ rule: "has(self.models) || has(self.pathPrefix)", message: "name at least one of models and pathPrefix" }],
  })
  .describe("What this policy serves.");

const callers = "Belongs to the caller: refused here.";

/** A CEL rule sees only fields that the schema declares, hence those that are refused. */
const parameters = z
  .looseObject({
    messages: z.array(z.looseObject({})).max(1024).meta({ listType: "atomic" }).optional().describe(callers),
    input: z.string().max(32_768).optional().describe(callers),
    prompt: z.string().max(32_768).optional().describe(callers),
    stream: z.boolean().optional().describe(callers),
  })
  .describe("Request parameters as in the body of a call, such as temperature and max_tokens.")
  .meta({
    cel: [
      {
        rule: "!has(self.messages) && !has(self.stream) && !has(self.input) && !has(self.prompt)",
        message:
          "messages, input, prompt and stream belong to the caller; set model, temperature, max_tokens and the like",
      },
    ],
  });

const request = z
  .strictObject({
    defaults: parameters.optional().describe("Used where the caller gave none."),
    overrides: parameters.optional().describe("Used whatever the caller gave."),
    prompts: z
      .array(
        z.strictObject({
          role: z.enum(["system", "developer", "user"]).default("system").describe("Role of the message."),
          position: z.enum(["Prepend", "Append"]).default("Prepend").describe("Before or after the caller's messages."),
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
  .describe("How requests are shaped.");

const providerRef = z.strictObject({
  name: objectName.describe("Name of the LLMProvider."),
  namespace: namespaceName
    .optional()
    .describe("Absent: the policy's own. Elsewhere needs the provider's allowedNamespaces."),
});

const target = z.strictObject({
  name: objectName.optional().describe("Name for rules to refer to. Absent: the provider's name."),
  provider: providerRef.describe("The LLMProvider."),
  model: modelName.optional().describe("The provider's model. Absent: the one that the caller asked for."),
  priority: z.int().min(1).max(1000).default(1).describe("Lower is tried first (strategy Priority)."),
  weight: z.int().min(0).max(1_000_000).default(1).describe("Share of the traffic (strategy Weighted)."),
});

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
      .array(subject)
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
    models: z.array(modelName).min(1).max(64).optional().meta({ listType: "set" }).describe("The model asked for."),
    headers: z
      .array(
        z.strictObject({
          name: headerName.describe("Name in lower case."),
          value: z.string().min(1).max(256).describe("Value, exactly."),
        }),
      )
      .min(1)
      .max(16)
      .optional()
      .meta({ listType: "map", listMapKeys: ["name"] })
      .describe("Headers with exactly these values, all of them."),
    batchSize: z
      .strictObject({ greaterThan: z.int().min(0).max(1_000_000).describe("More than this many.") })
      .optional()
      .describe("Number of inputs of an embeddings request."),
    promptTokens: z
      .strictObject({ greaterThan: z.int().min(0).max(100_000_000).describe("More than this many.") })
      .optional()
      .describe("Estimated length of the prompt in tokens."),
  })
  .describe("Conditions, all of which must hold; a list holds when one of its entries does.");

const routing = z
  .strictObject({
    strategy: z
      .enum(["Priority", "RoundRobin", "Weighted", "LeastLatency", "LeastCost"])
      .default("Priority")
      .describe("How a target is chosen among those that are healthy."),
    targets: z.array(target).min(1).max(32).meta({ listType: "atomic" }).describe("Where requests can go."),
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
        samples: z.int().min(1).max(1000).default(100).describe("How many of the newest answers count."),
        minimumSamples: z
          .int()
          .min(1)
          .max(1000)
          .default(5)
          .describe("A target with fewer comes first, so that it gets them."),
      })
      .meta({
        cel: [{ rule: "self.minimumSamples <= self.samples", message: "minimumSamples must not be above samples" }],
      })
      .prefault({})
      .describe("What the strategy LeastLatency goes by: the median time to the first byte."),
    slowAfter: timer
      .optional()
      .describe(
        "A first token later than this moves the request to the next target; a target whose first tokens of the last minute are mostly later comes behind the others.",
      ),
    affinity: z
      .strictObject({
        by: z.enum(["User", "ApiKey", "Header"]).describe("What tells callers apart."),
        header: headerName.optional().describe("Header by whose value callers are told apart."),
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
      .describe("The first rule that matches decides which targets are used."),
    canary: canary.optional(),
  })
  .describe("Which providers answer.");

const logging = z
  .strictObject({
    statistics: z.boolean().default(true).describe("Write an access-log line for each call."),
    payloads: z.boolean().default(false).describe("Write request and answer bodies to the log as well."),
  })
  .describe("What is logged.");

export const routingPolicySpec = z
  .strictObject({
    match,
    allowedNamespaces: allowedNamespaces
      .prefault({})
      .describe(
        "Which namespaces' keys may use this policy. Other than Same takes effect only in namespaces that the installation lets share.",
      ),
    access: access.prefault({}),
    request: request.optional(),
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
            "A call is made, and its answer given to the end, only once a record of it is safe in a file or in the store; where that can't be, it gets 503, or its stream an error event.",
          ),
        bodies: z
          .boolean()
          .default(false)
          .describe(
            "Records have requests and answers, with personal data masked, and sealed where the installation has sealing keys; at most 16 KiB of each.",
          ),
      })
      .prefault({})
      .describe("What the audit log says of the calls of this policy, where the installation has one."),
    logging: logging.prefault({}),
    alertWhen: policyAlertWhen.optional(),
    alerts: policyAlerts.optional(),
  })
  .meta({
    cel: [
      alertsNeedWhen,
      {
        rule: "!self.access.anonymous || has(self.match.pathPrefix)",
        message: "an anonymous policy needs match.pathPrefix, so that it stays apart from what needs a key",
      },
    ],
  })
  .describe("What is wanted of the route.");
export type RoutingPolicySpec = z.output<typeof routingPolicySpec>;

export const routingPolicyStatus = z
  .strictObject({
    ...statusBase,
    targets: z.int().min(0).optional().describe("How many targets are usable."),
    canary: canaryStatus.optional(),
    alerts: objectAlerts.optional(),
    alertTest: alertTest.optional(),
  })
  .describe("What is the case.");
