/** Limits on how much may be asked for in a time, and at once. */
import { z } from "zod";
import { duration } from "./scalars.ts";

const amounts = {
  requests: z.int().min(1).max(1_000_000_000).optional().describe("Most requests in any span of `window`."),
  tokens: z
    .int()
    .min(1)
    .max(1_000_000_000_000)
    .optional()
    .describe(
      "Most tokens, of prompts and answers, in any span of `window`. A call counts with an estimate until its answer tells.",
    ),
  concurrency: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .describe("Most calls under way at once; `window` has no meaning for it."),
  window: duration.default("1m").describe("The span that slides, such as 1m, 1h or 1d; at least 1s, at most 31d."),
  onStateLoss: z
    .enum(["Allow", "Deny"])
    .default("Allow")
    .describe(
      "Where fleet state can't be reached. Allow: each proxy keeps its part of the limit by itself. Deny: calls beyond what is leased get 503.",
    ),
};

const oneAmount = {
  rule: "[has(self.requests), has(self.tokens), has(self.concurrency)].filter(x, x).size() == 1",
  message: "set exactly one of requests, tokens and concurrency; write a second limit for the other",
};

export const policyLimits = z
  .array(
    z
      .strictObject({
        per: z
          .enum(["ApiKey", "User", "Role", "Team", "Route", "Model"])
          .describe("One such limit for each; Route: one for all."),
        ...amounts,
      })
      .meta({ cel: [oneAmount] }),
  )
  .min(1)
  .max(16)
  .meta({ listType: "atomic" })
  .describe("Rate limits, which hold for all proxies together. A call must fit in all of them.");

export const keyLimits = z
  .array(z.strictObject(amounts).meta({ cel: [oneAmount] }))
  .min(1)
  .max(8)
  .meta({ listType: "atomic" })
  .describe("Rate limits of this key, whichever policy it calls, besides those of the policies.");

export const scopedLimits = z
  .array(z.strictObject(amounts).meta({ cel: [oneAmount] }))
  .min(1)
  .max(8)
  .meta({ listType: "atomic" })
  .describe(
    "Rate limits for the calls in scope, for each of `per`, whichever policy they use and besides the limits of policies and keys.",
  );
