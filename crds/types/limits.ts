/** Limits on usage within a time window, and on concurrent calls. */
import { z } from "zod";
import { duration } from "./scalars.ts";

const amounts = {
  requests: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .optional()
    .describe("Largest number of requests in any `window`. 0 pauses calls."),
  tokens: z
    .int()
    .min(0)
    .max(1_000_000_000_000)
    .optional()
    .describe(
      "Largest number of prompt and answer tokens in any `window`. A call counts as an estimate until its answer reports usage. 0 pauses calls.",
    ),
  concurrency: z
    .int()
    .min(0)
    .max(1_000_000)
    .optional()
    .describe("Largest number of calls at the same time; 0 pauses calls. `window` has no effect on it."),
  window: duration.default("1m").describe("Length of the sliding window, from 1s to 31d, such as 1m, 1h or 1d."),
  onStateLoss: z
    .enum(["Allow", "Deny"])
    .default("Allow")
    .describe(
      "What the limit does while fleet state is unreachable. Allow lets each proxy enforce its share of the limit. Deny returns 503 beyond what is already leased.",
    ),
};

const oneAmount = {
  rule: "[has(self.requests), has(self.tokens), has(self.concurrency)].filter(x, x).size() == 1",
  message: "set exactly one of requests, tokens and concurrency; write a second limit for the other",
};

/** Quantities that can also be limited per session. */
const sessionAmounts = {
  ...amounts,
  duration: duration
    .optional()
    .describe(
      "Longest time from the first call of a session to its last, from 1s to 31d, such as 4h. For sessions only; `window` has no effect on it.",
    ),
};

const oneSessionAmount = {
  rule: "[has(self.requests), has(self.tokens), has(self.concurrency), has(self.duration)].filter(x, x).size() == 1",
  message: "set exactly one of requests, tokens, concurrency and duration; write a second limit for the other",
};

export const policyLimits = z
  .array(
    z
      .strictObject({
        per: z
          .enum(["ApiKey", "User", "Role", "Team", "Route", "Model", "Session"])
          .describe(
            "Gives each of these its own limit. Route: one limit for all. Session: one run of a coding agent, or what `session` names.",
          ),
        ...sessionAmounts,
      })
      .meta({
        cel: [
          oneSessionAmount,
          {
            rule: "!has(self.duration) || self.per == 'Session'",
            message: "duration is for sessions: set per: Session, or use requests, tokens or concurrency",
          },
        ],
      }),
  )
  .min(1)
  .max(16)
  .meta({ listType: "atomic" })
  .describe("Rate limits across all proxies. A call must be within all of them.");

export const keyLimits = z
  .array(z.strictObject(amounts).meta({ cel: [oneAmount] }))
  .min(1)
  .max(8)
  .meta({ listType: "atomic" })
  .describe("Rate limits of this key in all policies, in addition to the policies' own.");

export const scopedLimits = z
  .array(z.strictObject(sessionAmounts).meta({ cel: [oneSessionAmount] }))
  .min(1)
  .max(8)
  .meta({ listType: "atomic" })
  .describe(
    "Rate limits for the calls in scope, per `per`, in all policies and in addition to the limits of policies and keys.",
  );
