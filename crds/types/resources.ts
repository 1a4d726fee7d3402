/** `RoutingPolicy.spec.resources`: files, batches and fine-tuning that pass through to one provider. */
import { z } from "zod";
import { namespaceName, objectName } from "./scalars.ts";

export const resourceKinds = ["Files", "Batches", "FineTuning"] as const;

export const resources = z
  .strictObject({
    provider: z
      .strictObject({
        name: objectName.describe("Name of the LLMProvider."),
        namespace: namespaceName
          .optional()
          .describe("Absent: the policy's own. Elsewhere needs the provider's allowedNamespaces."),
      })
      .describe("The provider that keeps them. All who may use this policy share what its account holds."),
    kinds: z
      .array(z.enum(resourceKinds))
      .min(1)
      .max(resourceKinds.length)
      .default([...resourceKinds])
      .meta({ listType: "set" })
      .describe("Which of them are passed through: /files, /batches, /fine_tuning/jobs."),
  })
  .describe(
    "Pass files, batches and fine-tuning through, for keys whose role has the permission fine_tune_models. Absent: they are not served.",
  );
