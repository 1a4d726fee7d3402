/** `ApiKey`: one caller's key, and who the caller is. The clear key is never part of the object. */
import { z } from "zod";
import { webOrigin } from "./access.ts";
import { keyLimits } from "./limits.ts";
import { duration, durationHints, modelName, moment, secretKey, secretName, statusBase, subject } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

export const apiKeySpec = z
  .strictObject({
    user: subject.describe("Who calls, such as an e-mail address or a service's name."),
    team: subject.optional().describe("For access rules, budgets and reports."),
    role: subject.default("developer").describe("Role of the caller, for access rules."),
    tags: z
      .array(subject)
      .max(32)
      .optional()
      .meta({ listType: "set" })
      .describe("Labels for access rules, routing rules and budgets."),
    models: z
      .array(modelName)
      .min(1)
      .max(256)
      .optional()
      .meta({ listType: "set" })
      .describe("Models that the key may call; absent: all that policies allow."),
    limits: keyLimits.optional(),
    writeTo: z
      .strictObject({
        name: secretName.describe("Name of the Secret in this namespace."),
        key: secretKey.default("apiKey").describe("Key within the Secret that holds the clear key."),
      })
      .describe(
        'The Secret that holds the clear key. The operator creates the Secret with a key where there is none, and adds the key to a Secret that it made or that has the label sluice.dev/writable: "true". A key that is there is used.',
      ),
    clientTokens: z
      .strictObject({
        origins: z
          .array(webOrigin)
          .min(1)
          .max(32)
          .optional()
          .meta({ listType: "set" })
          .describe(
            "Origins of web pages that its tokens are bound to, such as https://chat.example.com; absent: tokens for any client.",
          ),
        maxLifetime: worded(
          shortText,
          /^([1-9][0-9]{0,2}s|[1-9]m|[1-5][0-9]m|60m|1h)$/,
          "must be a duration of at most 1h in one unit, such as 90s, 10m or 1h",
          [
            ...durationHints("90s, 10m or 1h"),
            [/^[0-9]{4,}s$/, "has too many digits: take minutes, as 60m is for 3600s, which is the longest"],
          ],
        )
          .default("10m")
          .describe("Longest life of a token, at most 1h."),
      })
      .optional()
      .describe(
        "Lets the key make short-lived tokens for clients that can't keep a key, such as web pages (POST /v1/sluice/tokens). Absent: it may not.",
      ),
    rotation: z
      .strictObject({
        every: duration.optional().describe("Time after which the operator makes a new key, such as 30d."),
        grace: duration.default("24h").describe("How long the key before is accepted beside the new one."),
        requestedAt: moment
          .optional()
          .describe(
            "Make a new key once, now or at this moment: it is done when the last rotation is older than this.",
          ),
      })
      .meta({ cel: [{ rule: "has(self.every) || has(self.requestedAt)", message: "set every, requestedAt or both" }] })
      .optional()
      .describe(
        "Replaces the key in its Secret; the key before stays there as KEY-previous while its grace lasts. In a folder, only grace acts.",
      ),
    expiresAt: moment.optional().describe("The moment from which the key is refused, such as 2027-02-28T12:00:00Z."),
    expiresAfter: duration.optional().describe("Time from creation after which the key is refused, such as 90d."),
    revoked: z.boolean().default(false).describe("Refuse the key from now on."),
  })
  .meta({
    cel: [
      { rule: "!(has(self.expiresAt) && has(self.expiresAfter))", message: "set expiresAt or expiresAfter, not both" },
    ],
  })
  .describe("What is wanted of the key.");
export type ApiKeySpec = z.output<typeof apiKeySpec>;

export const apiKeyStatus = z
  .strictObject({
    ...statusBase,
    keyPrefix: z.string().max(32).optional().describe("The key's first characters, to recognise it by."),
    expiresAt: z.string().max(40).optional().describe("When the key expires."),
    rotatedAt: z.string().max(40).optional().describe("When the key was last rotated."),
    nextRotationAt: z.string().max(40).optional().describe("When the key will be rotated."),
    previousExpiresAt: z.string().max(40).optional().describe("Until when the key before is accepted."),
  })
  .describe("What is the case.");
