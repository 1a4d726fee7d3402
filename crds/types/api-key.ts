/** `ApiKey`: one caller's key, and who the caller is. The clear key is never part of the object. */
import { z } from "zod";
import { webOrigin } from "./access.ts";
import { keyLimits } from "./limits.ts";
import { duration, durationHints, modelNameOrPattern, moment, secretKey, secretName, subject } from "./scalars.ts";
import { statusBase } from "./status-base.ts";
import { shortText, worded } from "./worded.ts";

export const apiKeySpec = z
  .strictObject({
    user: subject.describe("The caller, such as an e-mail address or a service name."),
    team: subject.optional().describe("Team of the caller, for access rules, budgets and reports."),
    role: subject.default("developer").describe("Role of the caller. It decides permissions and limits."),
    tags: z
      .array(subject)
      .max(32)
      .optional()
      .meta({ listType: "set" })
      .describe("Labels for access rules, routing rules and budgets."),
    models: z
      .array(modelNameOrPattern)
      .min(1)
      .max(256)
      .optional()
      .meta({ listType: "set" })
      .describe("Models that the key may call, by names and patterns such as gpt-*. Default: all that policies allow."),
    limits: keyLimits.optional(),
    digests: z
      .array(
        z.strictObject({
          algorithm: z.enum(["sha256"]).default("sha256").describe("How the digest was computed from the clear key."),
          value: worded(
            shortText,
            /^[0-9a-f]{64}$/,
            "must be a SHA-256 digest: 64 digits and letters from a to f, in lower case",
            [
              [/^[0-9A-Fa-f]{64}$/, "must be in lower case"],
              [/^sha256:/, "must be the digest alone, without sha256: before it"],
              [/./, "must be the SHA-256 digest of a key, 64 hexadecimal digits, and never the key itself"],
            ],
          )
            .meta({ unquoted: true })
            .describe("The digest, in hexadecimal."),
        }),
      )
      .min(1)
      .max(8)
      .optional()
      .meta({ listType: "map", listMapKeys: ["value"] })
      .describe(
        "Keys that another gateway issued, known by their digest only: they are accepted as keys of this object. Only for random keys of at least 20 characters.",
      ),
    writeTo: z
      .strictObject({
        name: secretName.describe("Name of the Secret in this namespace."),
        key: secretKey.default("apiKey").describe("Key within the Secret that holds the clear key."),
      })
      .optional()
      .describe(
        'The Secret that holds the clear key. Required unless `digests` is set. The operator creates the Secret with a key where there is none, and adds the key to a Secret that it made or that has the label sluice.dev/writable: "true". A key that is there is used.',
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
            "Origins of the web pages that may use the tokens, such as https://chat.example.com. Default: tokens work for any client.",
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
          .describe("Longest lifetime of a token, at most 1h."),
      })
      .optional()
      .describe(
        "Lets the key create short-lived tokens for clients that can't keep a key, such as web pages (POST /v1/sluice/tokens). Default: not allowed.",
      ),
    rotation: z
      .strictObject({
        every: duration.optional().describe("Interval at which the operator creates a new key, such as 30d."),
        grace: duration.default("24h").describe("How long the previous key is still accepted."),
        requestedAt: moment
          .optional()
          .describe("Rotate once at this time. The rotation is done if the last one is older than this."),
      })
      .meta({ cel: [{ rule: "has(self.every) || has(self.requestedAt)", message: "set every, requestedAt or both" }] })
      .optional()
      .describe(
        "Replaces the key in its Secret. The previous key stays there as KEY-previous during the grace period. In `sluice dev`, only grace has an effect.",
      ),
    expiresAt: moment.optional().describe("When the key expires, such as 2027-02-28T12:00:00Z."),
    expiresAfter: duration.optional().describe("Lifetime of the key from its creation, such as 90d."),
    revoked: z.boolean().default(false).describe("Refuse the key."),
  })
  .meta({
    cel: [
      { rule: "!(has(self.expiresAt) && has(self.expiresAfter))", message: "set expiresAt or expiresAfter, not both" },
      {
        rule: "has(self.writeTo) || has(self.digests)",
        message: "set writeTo, the Secret that holds the key: without it and digests there is no key",
      },
      {
        rule: "has(self.writeTo) || !has(self.rotation)",
        message: "rotation needs writeTo: keys that are known by their digest only can't be replaced",
      },
    ],
  })
  .describe("Desired state of the key.");
export type ApiKeySpec = z.output<typeof apiKeySpec>;

export const apiKeyStatus = z
  .strictObject({
    ...statusBase,
    keyPrefix: z.string().max(32).optional().describe("First characters of the key, to identify it."),
    foreignKeys: z
      .int()
      .min(0)
      .max(8)
      .optional()
      .describe("Number of keys of another gateway that are accepted by their digest. Absent if there are none."),
    digests: z
      .array(
        z.strictObject({
          index: z.int().min(0).max(7).describe("Place of the entry in spec.digests, from 0."),
          label: z
            .string()
            .max(16)
            .describe(
              "Identifies the entry without revealing its value, and stays the same if other entries are removed.",
            ),
          lastUsedAt: z
            .string()
            .max(40)
            .optional()
            .describe("Hour in which a caller last used the key. Absent if none has, as far as is known."),
        }),
      )
      .max(8)
      .optional()
      .meta({ listType: "atomic" })
      .describe("When the keys of another gateway were last used, so that you see which callers have moved."),
    expiresAt: z.string().max(40).optional().describe("When the key expires."),
    rotatedAt: z.string().max(40).optional().describe("When the key was last rotated."),
    nextRotationAt: z.string().max(40).optional().describe("When the key will be rotated."),
    previousExpiresAt: z.string().max(40).optional().describe("When the previous key stops being accepted."),
  })
  .describe("Observed state.");
