/** The status fields that all kinds share. */
import { z } from "zod";

export const condition = z
  .strictObject({
    type: z.string().min(1).max(316).describe("Type of the condition in CamelCase."),
    status: z.enum(["True", "False", "Unknown"]).describe("Status of the condition: True, False or Unknown."),
    reason: z.string().min(1).max(1024).describe("Reason in CamelCase, for programs."),
    message: z.string().max(32768).describe("What is wrong and how to fix it, for people."),
    lastTransitionTime: z.string().max(64).meta({ format: "date-time" }).describe("When the status last changed."),
    observedGeneration: z.int().min(0).optional().describe("Generation of the spec that the condition describes."),
  })
  .describe("A standard Kubernetes condition.");

/** The status fields that all four kinds share. */
export const statusBase = {
  observedGeneration: z.int().min(0).optional().describe("Generation of the spec that this status describes."),
  conditions: z
    .array(condition)
    .max(16)
    .optional()
    .meta({ listType: "map", listMapKeys: ["type"] })
    .describe(
      "Accepted, ResolvedRefs, Programmed, Ready, and conditions specific to the kind. Reconciling, Stalled and Warning are there only while they are True.",
    ),
  why: z
    .string()
    .max(1024)
    .optional()
    .describe("The first problem, in the words of its condition. Absent if there is none."),
  writtenBy: z
    .string()
    .max(317)
    .optional()
    .describe(
      "Installation that wrote this status, as namespace/prefix. Only there while several installations write it.",
    ),
};
