/** `Budget`: how much may be spent, by whom, in which period. */
import { z } from "zod";
import { alerts, alertTest } from "./alerts.ts";
import { scopedLimits } from "./limits.ts";
import {
  callerName,
  decimal,
  labelName,
  labelValue,
  modelName,
  moment,
  objectName,
  statusBase,
  subject,
  timeZone,
} from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

/** As a Kubernetes label selector. */
const keySelector = z
  .strictObject({
    matchLabels: z
      .record(labelName, labelValue)
      .meta({ maxProperties: 32 })
      .optional()
      .describe("Labels that an ApiKey must carry, all of them."),
    matchExpressions: z
      .array(
        z
          .strictObject({
            key: labelName.describe("Name of a label."),
            operator: z
              .enum(["In", "NotIn", "Exists", "DoesNotExist"])
              .describe("How its value is to stand to `values`."),
            values: z
              .array(labelValue)
              .max(64)
              .optional()
              .meta({ listType: "set" })
              .describe("Values; for In and NotIn."),
          })
          .meta({
            cel: [
              {
                rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                message: "In and NotIn need values, Exists and DoesNotExist have none",
              },
            ],
          })
          .describe("One condition."),
      )
      .min(1)
      .max(32)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Conditions that must hold, all of them."),
  })
  .describe("Calls with ApiKeys of this namespace whose labels match. Callers without an ApiKey have no labels.");
export type KeySelector = z.output<typeof keySelector>;

const subjects = (what: string, name = subject) =>
  z.array(name).min(1).max(256).optional().meta({ listType: "set" }).describe(`Calls of one of these ${what}.`);

export const budgetSpec = z
  .strictObject({
    amount: decimal.optional().describe("USD for each period; absent: money is not limited, only what `limits` says."),
    period: z
      .enum(["Hourly", "Daily", "Weekly", "Monthly", "Total"])
      .optional()
      .describe("Of `amount`. Weeks begin on Monday. Total never resets."),
    timeZone: timeZone.default("UTC").describe("IANA time zone in which periods begin."),
    scope: z
      .strictObject({
        users: subjects("users", callerName),
        teams: subjects("teams"),
        roles: subjects("roles"),
        tags: subjects("tags", callerName),
        apiKeys: z
          .array(objectName)
          .min(1)
          .max(256)
          .optional()
          .meta({ listType: "set" })
          .describe("Calls with one of these ApiKeys of this namespace, by name."),
        selector: keySelector.optional(),
        models: z
          .array(modelName)
          .min(1)
          .max(256)
          .optional()
          .meta({ listType: "set" })
          .describe("Models as callers name them."),
        providers: z
          .array(objectName)
          .min(1)
          .max(256)
          .optional()
          .meta({ listType: "set" })
          .describe("LLMProviders by name."),
      })
      .prefault({})
      .describe("What counts; empty: every call made with keys of this namespace."),
    per: z
      .enum(["User", "Team", "ApiKey", "Model"])
      .optional()
      .describe("One such budget for each; absent: one for all."),
    enforcement: z
      .enum(["Hard", "Soft", "Shadow"])
      .default("Hard")
      .describe(
        "Hard: calls that could exceed it are refused. Soft: nothing is refused for the amount. Shadow: it is counted only, and throttles nothing.",
      ),
    throttle: z
      .strictObject({
        atPercent: z.int().min(1).max(100).describe("From this share of the amount on."),
        passPercent: z
          .int()
          .min(0)
          .max(99)
          .describe("This share of the calls passes, drawn by lot; the others get 429 and may try again."),
      })
      .optional()
      .describe("Slow callers down before the amount is used up."),
    thresholds: z
      .array(z.int().min(1).max(100))
      .min(1)
      .max(10)
      .default([80, 100])
      .meta({ listType: "set" })
      .describe(
        "Percent of the amount as it is now. Each is told of once in a period, by an Event and by `alerts`, and again where a raised amount was reached anew; at 100 also when a call is refused for the budget.",
      ),
    spike: z
      .strictObject({
        factor: worded(
          shortText,
          /^([2-9]|[1-9][0-9]{1,2}|1[.][1-9][0-9]?|[2-9][.][0-9]{1,2})$/,
          'must be a number in quotes from 1.1 to 999, below 10 with at most two digits after the point, such as "2.0"',
          [[/[x%]/, 'must be the number alone: "2.0" for twice, or 200%, of the usual']],
        ).describe("So many times the usual: the mean of the periods before, at least three, at most fourteen."),
        minimum: decimal.default("1").describe("USD; below it nothing is a spike."),
      })
      .optional()
      .describe("Tell when a period has cost much more than whole periods before it did."),
    alerts: alerts.optional(),
    limits: scopedLimits.optional(),
    expiresAt: moment
      .optional()
      .describe("The moment from which nothing of this is in force any more, such as 2027-02-28T12:00:00Z."),
    onStateLoss: z
      .enum(["Allow", "Deny"])
      .default("Deny")
      .describe(
        "Hard budgets where fleet state can't be reached. Deny: only what is leased is spent, then calls get 503. Allow: calls pass, and are charged later.",
      ),
  })
  .meta({
    cel: [
      {
        rule: "has(self.amount) || has(self.limits)",
        message: "set amount and period, or limits, or both: there is nothing to hold",
      },
      {
        rule: "has(self.amount) == has(self.period)",
        message: "amount and period belong together: set both or neither",
      },
      {
        rule: "has(self.amount) || !(has(self.spike) || has(self.alerts))",
        message: "spike and alerts are about money: set amount and period",
      },
      {
        rule: "!has(self.spike) || !has(self.period) || self.period != 'Total'",
        message: "spike compares periods, and Total has only one",
      },
      {
        rule: "has(self.amount) || !has(self.throttle)",
        message: "throttle goes by a share of amount: set amount and period",
      },
    ],
  })
  .describe("What is wanted of the budget.");
export type BudgetSpec = z.output<typeof budgetSpec>;

const usd = (what: string) => z.string().max(32).optional().describe(`${what}, in USD.`);
const at = (what: string) => z.string().max(40).optional().describe(what);

const channelIds = z.array(z.string().max(64)).max(8).meta({ listType: "atomic" });

const rearmed = z
  .int()
  .min(1)
  .max(1_000_000_000)
  .describe("How often crossings had been taken back before, by a change of the spec.");

export const budgetCrossing = z
  .strictObject({
    event: z.enum(["Threshold", "Spike"]).describe("What happened."),
    percent: z.int().min(0).max(10_000_000).describe("The threshold, or the share of the usual."),
    subject: z.string().max(256).describe("Whose budget, where there is one for each; else empty."),
    at: z.string().max(40).describe("When it was noticed."),
    spent: z.string().max(32).describe("What had been spent, in USD."),
    told: channelIds.describe("Channels that need not be told any more."),
    rearmed: rearmed.optional(),
    givenUp: channelIds.optional().describe("Those of them that could not be told."),
  })
  .describe("Something that was told of, and is not to be told again in this period.");
export type BudgetCrossing = z.output<typeof budgetCrossing>;

export const budgetUnresolved = z
  .strictObject({
    periodStart: z.string().max(40).describe("When the period began in which it was told of."),
    event: budgetCrossing.shape.event,
    percent: budgetCrossing.shape.percent,
    subject: budgetCrossing.shape.subject,
    rearmed: rearmed.optional(),
    at: z.string().max(40).describe("When it was noticed that the period is over."),
    channels: channelIds.describe("Channels whose incident is to be resolved."),
  })
  .describe("An incident.");
export type BudgetUnresolved = z.output<typeof budgetUnresolved>;

export const budgetStatus = z
  .strictObject({
    ...statusBase,
    alertTest: alertTest.optional(),
    amount: usd("The amount that the crossings are shares of"),
    countingSince: at(
      "When period, timeZone, scope or per were last changed; what was spent before is from the ledger.",
    ),
    rearmed: rearmed.optional(),
    periodStart: at("When the period began that these figures are of."),
    resetsAt: at("When the next one begins."),
    spent: usd("Spent in this period, by all together"),
    remaining: usd("Left of the amount, where there is one budget for all"),
    groupCount: z
      .int()
      .min(0)
      .max(1_000_000_000)
      .optional()
      .describe("How many have spent anything, where there is a budget for each."),
    groups: z
      .array(
        z
          .strictObject({
            subject: z.string().max(256).describe("Whose budget."),
            spent: z.string().max(32).describe("In USD."),
          })
          .describe("One of those for whom there is a budget each."),
      )
      .max(100)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Those who have spent most."),
    crossings: z
      .array(budgetCrossing)
      .max(500)
      .optional()
      .meta({ listType: "atomic" })
      .describe("What was told of in this period."),
    unresolved: z
      .array(budgetUnresolved)
      .max(500)
      .optional()
      .meta({ listType: "atomic" })
      .describe("Incidents of periods before that PagerDuty is still to be told the end of."),
    history: z
      .array(
        z
          .strictObject({
            periodStart: z.string().max(40).describe("Its beginning."),
            spent: z.string().max(32).describe("In USD."),
          })
          .describe("A period."),
      )
      .max(14)
      .optional()
      .meta({ listType: "atomic" })
      .describe("What the periods before came to."),
  })
  .describe("What is the case.");
export type BudgetStatus = z.output<typeof budgetStatus>;
