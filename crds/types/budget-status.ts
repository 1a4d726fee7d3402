/** Status of a `Budget`. */
import { z } from "zod";
import { alertTest } from "./alerts.ts";
import { statusBase } from "./status-base.ts";

const usd = (what: string) => z.string().max(32).optional().describe(`${what}, in USD.`);
const timeOf = (what: string) => z.string().max(40).optional().describe(what);

const channelIds = z.array(z.string().max(64)).max(8).meta({ listType: "atomic" });

const rearmed = z
  .int()
  .min(1)
  .max(1_000_000_000)
  .describe("How often crossings had been taken back before, by a change of the spec.");

export const budgetCrossing = z
  .strictObject({
    event: z.enum(["Threshold", "Spike"]).describe("What happened."),
    percent: z.int().min(0).max(10_000_000).describe("The threshold, or spending in percent of the usual."),
    subject: z.string().max(256).describe("Whose budget, if `per` is set; otherwise empty."),
    at: z.string().max(40).describe("When it was detected."),
    spent: z.string().max(32).describe("Spending at that time, in USD."),
    told: channelIds.describe("Channels that were notified, or for which delivery was given up."),
    rearmed: rearmed.optional(),
    givenUp: channelIds.optional().describe("Channels of those that could not be notified."),
  })
  .describe("A notification that is not repeated in this period.");
export type BudgetCrossing = z.output<typeof budgetCrossing>;

export const budgetUnresolved = z
  .strictObject({
    periodStart: z.string().max(40).describe("Beginning of the period it belongs to."),
    event: budgetCrossing.shape.event,
    percent: budgetCrossing.shape.percent,
    subject: budgetCrossing.shape.subject,
    rearmed: rearmed.optional(),
    at: z.string().max(40).describe("When the end of the period was detected."),
    channels: channelIds.describe("Channels whose incident is still to be resolved."),
  })
  .describe("An incident.");
export type BudgetUnresolved = z.output<typeof budgetUnresolved>;

export const budgetStatus = z
  .strictObject({
    ...statusBase,
    alertTest: alertTest.optional(),
    amount: usd("The amount to which the crossings refer"),
    countingSince: timeOf(
      "When period, timeZone, scope or per were last changed; what was spent before is from the ledger.",
    ),
    rearmed: rearmed.optional(),
    periodStart: timeOf("Start of the period of these figures."),
    resetsAt: timeOf("When the next period begins."),
    spent: usd("Total spent in this period"),
    remaining: usd("Left of the amount, where there is one budget for all"),
    inCurrency: z
      .strictObject({
        code: z.string().max(3).describe("The currency, such as EUR."),
        spent: z.string().max(32).describe("Spent in this period."),
        remaining: z.string().max(32).optional().describe("Left of the amount, where there is one budget for all."),
      })
      .optional()
      .describe("The same in the currency that the installation shows, at its rate."),
    groupCount: z
      .int()
      .min(0)
      .max(1_000_000_000)
      .optional()
      .describe("Number of subjects that have spent anything, if `per` is set."),
    groups: z
      .array(
        z
          .strictObject({
            subject: z.string().max(256).describe("Whose budget."),
            spent: z.string().max(32).describe("In USD."),
          })
          .describe("Spending of one subject."),
      )
      .max(100)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Subjects that have spent the most."),
    crossings: z
      .array(budgetCrossing)
      .max(500)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Notifications in this period."),
    unresolved: z
      .array(budgetUnresolved)
      .max(500)
      .optional()
      .meta({ listType: "atomic" })
      .describe("PagerDuty incidents of earlier periods that are still to be resolved."),
    history: z
      .array(
        z
          .strictObject({
            periodStart: z.string().max(40).describe("Beginning of the period."),
            spent: z.string().max(32).describe("In USD."),
          })
          .describe("A period."),
      )
      .max(14)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Spending in earlier periods."),
  })
  .describe("Observed state.");
export type BudgetStatus = z.output<typeof budgetStatus>;
