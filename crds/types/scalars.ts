/**
 * Scalars that several kinds use. Every string is bounded: newer Kubernetes refuses a CRD whose CEL rules
 * could run over unbounded input.
 *
 * `meta` keys that `crds/structural.ts` carries into the CRD: `cel` (x-kubernetes-validations), `listType`,
 * `listMapKeys`, `maxProperties`, `format`. A pattern's message is what lint says; the API server shows the pattern.
 */
import { z } from "zod";

/** A rule of `x-kubernetes-validations`; the message says how to mend the object. */
export interface CelRule {
  rule: string;
  message: string;
  fieldPath?: string;
  /** Where the rule can name the offending value, a CEL expression that yields the message. */
  messageExpression?: string;
}

declare module "zod" {
  interface GlobalMeta {
    cel?: CelRule[];
    listType?: "atomic" | "set" | "map";
    listMapKeys?: string[];
    maxProperties?: number;
  }
}

/** DNS-1123 label or subdomain: the name of a Kubernetes object. */
export const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, "must be the name of an object: lower-case letters, digits, - and .");

export const namespaceName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, "must be the name of a namespace: lower-case letters, digits and -");

/** A duration such as `30s`, `10m`, `90d`, or a sum such as `1h30m`; above zero, since its first number is. */
export const duration = z
  .string()
  .min(2)
  .max(32)
  .regex(/^[1-9][0-9]{0,4}(ms|s|m|h|d)([0-9]{1,5}(ms|s|m|h|d))*$/, "must be a duration above zero, such as 30s, 10m, 1h30m or 90d");

/** A duration that a timer can wait: below the 2^31 ms that `setTimeout` takes, however the sum is written. */
export const timer = z
  .string()
  .min(2)
  .max(15)
  .regex(
    /^[1-9][0-9]{0,5}ms$|^([1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m|[1-9][0-9]?h)([0-9]{1,2}m)?([0-9]{1,2}s)?$/,
    "must be a duration above zero and below 100h, such as 500ms, 30s, 10m or 1h30m",
  );

/** How often something is done: a timer of at least a second. */
export const interval = z
  .string()
  .min(2)
  .max(15)
  .regex(
    /^([1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m|[1-9][0-9]?h)([0-9]{1,2}m)?([0-9]{1,2}s)?$/,
    "must be a duration of at least 1s and below 100h, such as 10s, 1m or 1h30m",
  );

/** A non-negative decimal number as a string, so that no float ever touches money. Its billionths fit a safe integer. */
export const decimal = z
  .string()
  .min(1)
  .max(17)
  .regex(/^[0-8]?[0-9]{1,6}(\.[0-9]{1,9})?$/, 'must be a decimal number in quotes below 9000000, such as "2.50"');

/**
 * A calendar day, `YYYY-MM-DD`, in UTC. The pattern knows the lengths of months. `format: date` is not used: with it
 * the API server (1.36) takes a list for a string.
 */
export const day = z.string().max(10).regex(z.regexes.date, "must be a day that exists, such as 2027-02-28");

/** A moment of RFC 3339, such as `2027-02-28T12:00:00Z`; without `format: date-time` for the same reason. */
export const moment = z
  .string()
  .max(40)
  .regex(z.regexes.datetime({ offset: true }), "must be a moment that exists, such as 2027-02-28T12:00:00Z");

/** An IANA time zone; that it exists is for the operator to find out. */
export const timeZone = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/, "must be an IANA time zone, such as Asia/Tokyo");

/** Lower-case name of a header. */
export const headerName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[a-z0-9-]+$/, "must be a header's name in lower case");

/** A model's name as callers and routes write it. Slashes, colons and at signs occur in real model names. */
export const modelName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._:/@+-]*[A-Za-z0-9])?$/, "must be a model's name: letters, digits and ._:/@+-, the first and last a letter or digit");

/** A free label that ends up in records and reports: user, team, role, tag. */
export const subject = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._@:/+-]*[A-Za-z0-9])?$/, "must be letters, digits and ._@:/+-, the first and last a letter or digit");

/** A key within a Secret. */
export const secretKey = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[-._a-zA-Z0-9]+$/, "must be a key of a Secret: letters, digits and -._");

export const secretKeyRef = z
  .strictObject({
    name: objectName.describe("Name of the Secret, in the object's own namespace."),
    key: secretKey.optional().describe("Key within the Secret. Absent: each credential field is read from the key of its own name."),
  })
  .describe("Reference to a Secret in the same namespace.");

const labels = z.record(z.string().max(317), z.string().max(63));

export const labelSelector = z
  .strictObject({
    matchLabels: labels.optional().describe("Labels that a namespace must carry, all of them."),
  })
  .describe("Selects namespaces by their labels.");

/** The grant for cross-namespace use, in Gateway API style: given by the owner of the object that is used. */
export const allowedNamespaces = z
  .strictObject({
    from: z
      .enum(["Same", "All", "Selector"])
      .default("Same")
      .describe("Same: this object's own namespace. All: every namespace. Selector: namespaces that `selector` matches."),
    selector: labelSelector.optional(),
  })
  .meta({
    cel: [
      {
        rule: "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
        message: "set selector exactly when from is Selector",
      },
    ],
  });

export const condition = z
  .strictObject({
    type: z.string().min(1).max(316).describe("Type of the condition in CamelCase."),
    status: z.enum(["True", "False", "Unknown"]).describe("Whether it holds."),
    reason: z.string().min(1).max(1024).describe("One CamelCase word that says why, for programs."),
    message: z.string().max(32768).describe("What is the case and how to mend it, for people."),
    lastTransitionTime: z.string().max(64).meta({ format: "date-time" }).describe("When the status last changed."),
    observedGeneration: z.int().min(0).optional().describe("The generation of the spec that the condition speaks of."),
  })
  .describe("A standard Kubernetes condition.");

/** The status fields that all four kinds share. */
export const statusBase = {
  observedGeneration: z.int().min(0).optional().describe("The generation of the spec that this status speaks of."),
  conditions: z
    .array(condition)
    .max(16)
    .optional()
    .meta({ listType: "map", listMapKeys: ["type"] })
    .describe("Accepted, ResolvedRefs, Programmed, and conditions of the kind's own."),
  why: z.string().max(1024).optional().describe("The first thing that is wrong, in the words of its condition. Absent: nothing is."),
};
