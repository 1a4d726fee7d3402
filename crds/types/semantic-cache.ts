/** `RoutingPolicy.spec.cache.semantic`: answers to questions that mean the same. */
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
              .describe("Absent: the policy's own. Elsewhere needs the provider's allowedNamespaces."),
          })
          .describe(
            "The LLMProvider that makes vectors. It sees the last message of a call, masked where the policy masks.",
          ),
        model: modelName.describe("Its model for embeddings."),
      })
      .describe("Where texts are made into vectors."),
    threshold: worded(
      shortText,
      /^(0\.[5-9][0-9]{0,5}|1(\.0{1,6})?)$/,
      'must be a number in quotes from 0.5 to 1 with at most six digits after the point, such as "0.95"',
      [[/%|^[0-9]{2,3}$/, 'must be a number in quotes from 0.5 to 1: "0.95" for 95%']],
    ).describe(
      "Least cosine similarity of two questions that get one answer. It depends on the model for embeddings: docs/caching.md says how to find it.",
    ),
    mode: z
      .enum(["Serve", "Shadow"])
      .default("Serve")
      .describe(
        "Shadow: similarities are measured, beside the call and without delaying it, and no answer is given by them.",
      ),
    timeout: worded(
      shortText,
      /^([1-9][0-9]{0,3}ms|[1-9]s)$/,
      "must be a duration from 1ms to 9999ms, such as 300ms or 2s",
      durationHints("300ms or 2s").filter(([, say]) => !say.includes("90m")),
    )
      .default("500ms")
      .describe("How long the look-up may take; after that it is a miss."),
    maxEntries: z
      .int()
      .min(1)
      .max(5_000)
      .default(1_000)
      .describe(
        "Most vectors that one proxy keeps for this policy, and so compares in one look-up; the longest unused go first.",
      ),
  })
  .describe("Give an answer also where only the words of the last user message differ. Absent: calls must be equal.");
