/** `spec.routing.canary`: a target that gets a share of the traffic for a time, and then all or none of it. */
import { z } from "zod";
import { duration, objectName } from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

export const sharePattern = "(100|[1-9]?[0-9])([.][0-9]{1,3})?%";
/** A duration in milliseconds, seconds or minutes. */
export const time = "([1-9][0-9]{0,5}ms|[1-9][0-9]{0,3}s|[1-9][0-9]?m)";

/** `<1%` if small is good, `>5%` if large is bad. */
export const threshold = (sign: "<" | ">", pattern: string, example: string) =>
  worded(
    shortText,
    new RegExp(`^${sign}${pattern}$`),
    `must be ${sign === "<" ? "a bound from above" : "a bound from below"} in quotes, such as "${sign}${example}"`,
    [
      [/^[<>] *=/, `takes no =: write ${sign} alone, such as "${sign}${example}"`],
      [new RegExp(`^[^${sign}]`), `must begin with ${sign}, in quotes, such as "${sign}${example}"`],
      [/ /, `must have no spaces, such as "${sign}${example}"`],
      [/[0-9]$/, `needs a unit after the number, such as "${sign}${example}"`],
    ],
  );

const criteria = (sign: "<" | ">") => ({
  errorRate: threshold(sign, sharePattern, "1%")
    .optional()
    .describe(`Share of its attempts that fail, such as "${sign}1%". Callers' own mistakes don't count.`),
  latencyP95: threshold(sign, time, "3s")
    .optional()
    .describe(
      `95th percentile of the time from sending a request to the last byte of its answer, such as "${sign}3s".`,
    ),
  costIncrease: threshold(sign, "([1-9]?[0-9]{1,3})([.][0-9]{1,3})?%", "10%")
    .optional()
    .describe(`Mean cost of an answer compared with the other targets, such as "${sign}10%".`),
});

const some = {
  rule: "has(self.errorRate) || has(self.latencyP95) || has(self.costIncrease)",
  message: "set at least one of errorRate, latencyP95, costIncrease",
};

export const canary = z
  .strictObject({
    target: objectName.describe("Name of the target to try. It must be one of several targets."),
    percent: z.int().min(1).max(99).describe("Share of requests for the target, among those that no rule decides."),
    for: duration.describe("How long to observe the target before a verdict."),
    minimumRequests: z.int().min(1).max(10_000_000).default(100).describe("Fewest requests needed for a verdict."),
    succeedWhen: z
      .strictObject(criteria("<"))
      .meta({ cel: [some] })
      .describe("Criteria for promotion. If all hold at the end, the target gets all traffic, otherwise none."),
    rollBackWhen: z
      .strictObject(criteria(">"))
      .meta({ cel: [some] })
      .optional()
      .describe("Criteria for roll-back. As soon as one holds, the target gets no more traffic."),
    paused: z
      .boolean()
      .default(false)
      .describe(
        "Puts off the verdict: the target keeps its share until this is false again. rollBackWhen still applies. Does not start the canary over.",
      ),
  })
  .describe(
    "Tries a target with a share of the traffic. The verdict changes what is served, never this spec. A changed canary starts over.",
  );
export type CanarySpec = z.output<typeof canary>;

const count = z.int().min(0).max(9_007_199_254_740_991);

const side = z
  .strictObject({
    requests: count.describe("Attempts."),
    failures: count.describe("Attempts that failed."),
    priced: count.describe("Answers with a known cost."),
    cost: count.describe("Cost of those answers, in nano-USD."),
    latency: z.array(count).max(32).meta({ listType: "atomic" }).describe("Answers by duration, in buckets."),
  })
  .describe("Counts of one side.");

export const canaryStatus = z
  .strictObject({
    id: z.string().max(64).describe("Identifies this canary, so that a changed one starts over."),
    phase: z.enum(["Progressing", "Promoted", "RolledBack"]).describe("Phase of the canary."),
    target: z.string().max(253).describe("The target being tried."),
    startedAt: z.string().max(40).describe("When it began."),
    decidedAt: z.string().max(40).optional().describe("When the verdict was reached."),
    requests: count.describe("Attempts at the target so far."),
    errorRate: z.string().max(32).optional().describe("Share of attempts that failed."),
    latencyP95: z.string().max(32).optional().describe("95th percentile of the duration of answers."),
    costIncrease: z.string().max(32).optional().describe("Mean cost of an answer compared with the other targets."),
    verdict: z.string().max(1024).describe("The state in a sentence."),
    samples: z
      .array(
        z.strictObject({
          proxy: z.string().max(64).describe('One run of one proxy; "" for those that are gone.'),
          canary: side.describe("Counts of the target being tried."),
          baseline: side.describe("Counts of the other targets."),
        }),
      )
      .max(64)
      .meta({ listType: "atomic" })
      .describe("Counts by proxy, so that they survive a restart of the operator."),
  })
  .describe("Progress of the canary.");
export type CanaryStatus = z.output<typeof canaryStatus>;
