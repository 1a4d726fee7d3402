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
          .describe("Default: the policy's namespace. Another namespace needs the provider's allowedNamespaces."),
      })
      .describe("The provider that stores them."),
    kinds: z
      .array(z.enum(resourceKinds))
      .min(1)
      .max(resourceKinds.length)
      .default([...resourceKinds])
      .meta({ listType: "set" })
      .describe("Which kinds to pass through: /files, /batches, /fine_tuning/jobs."),
  })
  .describe(
    "Passes files, batches and fine-tuning through, for keys whose role has the permission fine_tune_models. Default: not served.",
  );
