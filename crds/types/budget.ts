/** `Budget`: how much callers may spend in a period. */
import { z } from "zod";
import { alerts } from "./alerts.ts";
import { scopedLimits } from "./limits.ts";
import {
  callerName,
  decimal,
  labelName,
  labelValue,
  modelNameOrPattern,
  moment,
  objectName,
  subject,
  timeZone,
} from "./scalars.ts";
import { shortText, worded } from "./worded.ts";

/** Same form as a Kubernetes label selector. */
const keySelector = z
  .strictObject({
    matchLabels: z
      .record(labelName, labelValue)
      .meta({ maxProperties: 32 })
      .optional()
      .describe("Labels that an ApiKey must have."),
    matchExpressions: z
      .array(
        z
          .strictObject({
            key: labelName.describe("Name of a label."),
            operator: z
              .enum(["In", "NotIn", "Exists", "DoesNotExist"])
              .describe("How the label's value relates to `values`."),
            values: z
              .array(labelValue)
              .max(64)
              .optional()
              .meta({ listType: "set" })
              .describe("Values, for In and NotIn."),
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
      .describe("Conditions that must all hold."),
  })
  .describe("Calls with ApiKeys of this namespace whose labels match. Calls without an ApiKey never match.");
export type KeySelector = z.output<typeof keySelector>;

const subjects = (what: string, name = subject) =>
  z.array(name).min(1).max(256).optional().meta({ listType: "set" }).describe(`Calls of one of these ${what}.`);

export const budgetSpec = z
  .strictObject({
    amount: decimal
      .optional()
      .describe("Amount per period, in USD. Default: spending is not limited, only `limits` applies."),
    period: z
      .enum(["Hourly", "Daily", "Weekly", "Monthly", "Total"])
      .optional()
      .describe("Period of `amount`. Weeks begin on Monday. Total never resets."),
    timeZone: timeZone.default("UTC").describe("IANA time zone in which periods begin."),
    scope: z
      .strictObject({
        users: subjects("users", callerName),
        teams: subjects("teams", callerName),
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
          .array(modelNameOrPattern)
          .min(1)
          .max(256)
          .optional()
          .meta({ listType: "set" })
          .describe("Models as callers name them, by names and patterns such as gpt-*."),
        providers: z
          .array(objectName)
          .min(1)
          .max(256)
          .optional()
          .meta({ listType: "set" })
          .describe("LLMProviders by name."),
      })
      .prefault({})
      .describe("Which calls count. Default: every call with a key of this namespace."),
    per: z
      .enum(["User", "Team", "ApiKey", "Model", "Session"])
      .optional()
      .describe(
        "Gives each of these its own budget. Session: each session of a key, until it makes no call for 24 hours. Default: one budget for all.",
      ),
    enforcement: z
      .enum(["Hard", "Soft", "Shadow"])
      .default("Hard")
      .describe("Hard refuses calls that could exceed the amount. Soft only throttles and alerts. Shadow only counts."),
    throttle: z
      .strictObject({
        atPercent: z.int().min(1).max(100).describe("Share of the amount, in percent, from which throttling starts."),
        passPercent: z
          .int()
          .min(0)
          .max(99)
          .describe("Percentage of calls to let through, chosen at random. The others get 429."),
      })
      .optional()
      .describe("Slows callers down before the amount is used up."),
    thresholds: z
      .array(z.int().min(1).max(100))
      .min(1)
      .max(10)
      .default([80, 100])
      .meta({ listType: "set" })
      .describe(
        "Percentages of the current amount. Each is reported once per period, by an Event and through `alerts`, and again if a raised amount is reached. 100 is also reported when a call is refused because of the budget.",
      ),
    spike: z
      .strictObject({
        factor: worded(
          shortText,
          /^([2-9]|[1-9][0-9]{1,2}|1[.][1-9][0-9]?|[2-9][.][0-9]{1,2})$/,
          'must be a number in quotes from 1.1 to 999, below 10 with at most two digits after the point, such as "2.0"',
          [[/[x%]/, 'must be the number alone: "2.0" for twice, or 200%, of the usual']],
        ).describe("Alert when spending exceeds this multiple of the mean of the last 3 to 14 periods."),
        minimum: decimal.default("1").describe("Spending below this amount, in USD, is never a spike."),
      })
      .optional()
      .describe("Reports a period that costs much more than earlier periods."),
    alerts: alerts.optional(),
    limits: scopedLimits.optional(),
    contact: worded(
      shortText,
      /^[^\n\r]{1,200}$/,
      "must be a line of at most 200 characters, such as an address, a channel or a link",
    )
      .optional()
      .describe(
        "Whom callers can ask for more, such as finops@example.com. Refusals and GET /v1/sluice/usage name it.",
      ),
    expiresAt: moment.optional().describe("When the budget stops applying, such as 2027-02-28T12:00:00Z."),
    onStateLoss: z
      .enum(["Allow", "Deny"])
      .default("Deny")
      .describe(
        "What a hard budget does while fleet state is unreachable. Deny spends only what is already leased, then returns 503. Allow lets calls through and charges them later.",
      ),
  })
  .meta({
    cel: [
      {
        rule: "has(self.amount) || has(self.limits)",
        message: "set amount and period, or limits, or both: this budget limits nothing",
      },
      {
        rule: "has(self.amount) == has(self.period)",
        message: "amount and period belong together: set both or neither",
      },
      {
        rule: "has(self.amount) || !(has(self.spike) || has(self.alerts))",
        message: "spike and alerts need an amount: set amount and period",
      },
      {
        rule: "!has(self.spike) || !has(self.period) || self.period != 'Total'",
        message: "spike compares periods, and Total has only one",
      },
      {
        rule: "!has(self.limits) || !self.limits.exists(l, has(l.duration)) || (has(self.per) && self.per == 'Session')",
        message: "a duration in limits is for sessions: set per: Session",
      },
      {
        rule: "has(self.amount) || !has(self.throttle)",
        message: "throttle needs an amount: set amount and period",
      },
    ],
  })
  .describe("Desired state of the budget.");
export type BudgetSpec = z.output<typeof budgetSpec>;
