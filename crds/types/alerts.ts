/** Alert channels: receivers, their events, and the form of messages. */
import { z } from "zod";
import { duration, moment, secretConsent, secretKey, secretName } from "./scalars.ts";
import { worded } from "./worded.ts";

const secretRef = z
  .strictObject({
    name: secretName.describe("Name of the Secret, in the object's namespace."),
    key: secretKey.describe("Key within the Secret."),
  })
  .describe(`Reference to a value in a Secret of the same namespace. ${secretConsent}`);

const address = worded(
  z.string().max(254),
  /^[^ \t\r\n\f@<>,;:"\\()[\]]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/,
  "must be an e-mail address, such as finance@example.com",
  [
    [/[,;]/, "must be one e-mail address, such as finance@example.com: write each as an entry of its own"],
    [/<|^mailto:/, "must be the e-mail address alone, without a name or <>, such as finance@example.com"],
  ],
);

/** An entry's destination: one of these. */
const places = {
  slack: z.strictObject({ secretRef }).optional().describe("Slack incoming webhook. The Secret holds its URL."),
  email: z
    .strictObject({ to: z.array(address).min(1).max(32).meta({ listType: "set" }).describe("Addresses.") })
    .optional()
    .describe("E-mail, sent by the installation's mail server (Helm value alerts.smtp)."),
  pagerDuty: z
    .strictObject({ secretRef })
    .optional()
    .describe("PagerDuty Events API v2. The Secret holds the integration's routing key."),
  webhook: z
    .strictObject({
      secretRef,
      signingKeyRef: z
        .strictObject({
          name: secretName.describe("Name of the Secret, in the object's namespace."),
          key: secretKey.describe("Key within the Secret."),
        })
        .optional()
        .describe(
          "Key that signs each POST with HMAC-SHA-256, so that the receiver can authenticate it. Default: not signed.",
        ),
    })
    .optional()
    .describe("HTTP POST of JSON. The Secret holds the URL."),
};

/** When an entry is sent. */
const timing = {
  silencedUntil: moment
    .optional()
    .describe(
      "Nothing is sent to this channel before this time. What still applies then is sent. Ends of PagerDuty incidents are sent at once.",
    ),
  digest: duration
    .optional()
    .describe(
      "Collects the object's alerts for this long after the first, and sends them as one message. 1m to 24h. Not for pagerDuty.",
    ),
};

/** Rules of an entry. */
const entryRules = [
  {
    rule: "[has(self.slack), has(self.email), has(self.pagerDuty), has(self.webhook)].filter(x, x).size() == 1",
    message: "set exactly one of slack, email, pagerDuty and webhook; write a second entry for another",
  },
  {
    rule: "!has(self.digest) || !has(self.pagerDuty)",
    message: "digest is not for pagerDuty, which groups incidents itself",
  },
];

/** Channels of a kind of object. `facts`: placeholders of a message; `why`: the description. */
export function channels(events: readonly [string, ...string[]], facts: readonly string[], why: string) {
  return z
    .array(
      z
        .strictObject({
          ...places,
          events: z
            .array(z.enum(events))
            .min(1)
            .max(events.length)
            .optional()
            .meta({ listType: "set" })
            .describe("Events to send to this channel. Default: all."),
          ...timing,
          message: z
            .string()
            .min(1)
            .max(1_024)
            .meta({ places: facts })
            .optional()
            .describe(
              `Text in place of the standard one. ${facts
                .slice(0, -1)
                .map((fact) => `{{${fact}}}`)
                .join(", ")} and {{${facts.at(-1)}}} stand for their values.`,
            ),
        })
        .meta({ cel: entryRules }),
    )
    .min(1)
    .max(8)
    .meta({ listType: "atomic" })
    .describe(why);
}

/** Placeholders of a Budget's message. */
export const budgetFacts = [
  "budget",
  "subject",
  "percent",
  "spent",
  "amount",
  "currency",
  "spentInCurrency",
  "amountInCurrency",
  "period",
  "timeZone",
  "enforcement",
  "contact",
  "resetsAt",
  "event",
  "console",
  "dashboard",
] as const;

export const alerts = channels(
  ["Threshold", "Spike"],
  budgetFacts,
  "Channels to notify when a threshold is crossed or spending spikes, once per period. Kubernetes Events are recorded in any case.",
);
export type AlertsSpec = z.output<typeof alerts>;

export const alertTest = z
  .strictObject({
    requestedAt: z.string().max(64).describe("Value of the annotation sluice.dev/test-alerts."),
    results: z
      .array(
        z
          .strictObject({
            channel: z.string().max(64).describe("Type and index of the channel."),
            result: z.string().max(256).describe("`sent`, or why it failed."),
          })
          .describe("Result of one channel."),
      )
      .max(8)
      .meta({ listType: "atomic" })
      .describe("Results by channel."),
  })
  .describe("Last test of the channels.");
export type AlertTest = z.output<typeof alertTest>;
