/**
 * Scalars that several kinds use. Every string is bounded: newer Kubernetes refuses a CRD whose CEL rules
 * could run over unbounded input.
 *
 * `meta` keys that `crds/generate.ts` carries into the CRD: `cel` (x-kubernetes-validations), `listType`,
 * `listMapKeys`, `format`.
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
  }
}

/** DNS-1123 label or subdomain: the name of a Kubernetes object. */
export const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

export const namespaceName = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

/** A duration such as `500ms`, `30s`, `10m`, `1h`, `90d`, or a sum such as `1m30s`. */
export const duration = z
  .string()
  .min(2)
  .max(32)
  .regex(/^([0-9]{1,9}(ms|s|m|h|d))+$/);

/** A non-negative decimal number as a string, so that no float ever touches money. */
export const decimal = z
  .string()
  .min(1)
  .max(24)
  .regex(/^[0-9]{1,12}(\.[0-9]{1,9})?$/);

/** A calendar day, `YYYY-MM-DD`, in UTC. */
export const day = z
  .string()
  .max(10)
  .regex(/^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/);

/** A model's name as callers and routes write it. Slashes, colons and at signs occur in real model names. */
export const modelName = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._:/@+-]*[A-Za-z0-9])?$/);

/** A free label that ends up in records and reports: user, team, role, tag. */
export const subject = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9._@:/+-]*[A-Za-z0-9])?$/);

export const secretKeyRef = z
  .strictObject({
    name: objectName.describe("Name of the Secret, in the object's own namespace."),
    key: z
      .string()
      .min(1)
      .max(253)
      .regex(/^[-._a-zA-Z0-9]+$/)
      .optional()
      .describe("Key within the Secret. Absent: each credential field is read from the key of its own name."),
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
    status: z.enum(["True", "False", "Unknown"]),
    reason: z.string().min(1).max(1024).describe("One CamelCase word that says why, for programs."),
    message: z.string().max(32768).describe("What is the case and how to mend it, for people."),
    lastTransitionTime: z.string().max(64).meta({ format: "date-time" }),
    observedGeneration: z.int().min(0).optional(),
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
};
