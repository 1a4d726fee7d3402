/** `spec.cache.semantic` of a RoutingPolicy: reuses answers to questions that mean the same. */
import { z } from "zod";
import { durationHints, modelName, namespaceName, objectName } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

export const semanticCache = z
  .strictObject({
    embeddings: z
      .strictObject({
        provider: z
          .strictObject({
            name: objectName.describe("Name of the LLMProvider."),
            namespace: namespaceName
              .optional()
              .describe("Default: the policy's namespace. Another namespace needs the provider's allowedNamespaces."),
          })
          .describe(
            "LLMProvider that computes vectors. It gets the last message of a call, masked if the policy masks.",
          ),
        model: modelName.describe("Embeddings model."),
      })
      .describe("Where vectors are computed."),
    threshold: worded(
      shortText,
      /^(0\.[5-9][0-9]{0,5}|1(\.0{1,6})?)$/,
      'must be a number in quotes from 0.5 to 1 with at most six digits after the point, such as "0.95"',
      [[/%|^[0-9]{2,3}$/, 'must be a number in quotes from 0.5 to 1: "0.95" for 95%']],
    ).describe(
      "Least cosine similarity at which an answer is served. It depends on the embeddings model; docs/caching.md says how to choose it.",
    ),
    mode: z
      .enum(["Serve", "Shadow"])
      .default("Serve")
      .describe("Serve serves answers. Shadow only measures similarities, without delaying calls."),
    timeout: worded(
      shortText,
      /^([1-9][0-9]{0,3}ms|[1-9]s)$/,
      "must be a duration from 1ms to 9999ms, such as 300ms or 2s",
      durationHints("300ms or 2s").filter(([, say]) => !say.includes("90m")),
    )
      .default("500ms")
      .describe("Time after which a look-up is a miss."),
    maxEntries: z
      .int()
      .min(1)
      .max(5_000)
      .default(1_000)
      .describe(
        "Largest number of vectors that a proxy keeps for this policy and compares in a look-up. The least recently used are removed first.",
      ),
  })
  .describe(
    "Serves an answer also if only the wording of the last user message differs. Default: calls must be equal.",
  );
