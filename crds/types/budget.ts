/** `Budget`: how much may be spent, by whom, in which period. */
import { z } from "zod";
import { scopedLimits } from "./limits.ts";
import { decimal, modelName, moment, objectName, statusBase, subject, timeZone } from "./scalars.ts";

const subjects = (what: string) => z.array(subject).min(1).max(256).optional().meta({ listType: "set" }).describe(`Calls of one of these ${what}.`);

export const budgetSpec = z
  .strictObject({
    amount: decimal.optional().describe("USD for each period; absent: money is not limited, only what `limits` says."),
    period: z.enum(["Hourly", "Daily", "Weekly", "Monthly", "Total"]).optional().describe("Of `amount`. Weeks begin on Monday. Total never resets."),
    timeZone: timeZone.default("UTC").describe("IANA time zone in which periods begin."),
    scope: z
      .strictObject({
        users: subjects("users"),
        teams: subjects("teams"),
        roles: subjects("roles"),
        tags: subjects("tags"),
        apiKeys: z
          .array(objectName)
          .min(1)
          .max(256)
          .optional()
          .meta({ listType: "set" })
          .describe("Calls with one of these ApiKeys of this namespace, by name."),
        models: z.array(modelName).min(1).max(256).optional().meta({ listType: "set" }).describe("Models as callers name them."),
        providers: z.array(objectName).min(1).max(256).optional().meta({ listType: "set" }).describe("LLMProviders by name."),
      })
      .prefault({})
      .describe("What counts; empty: every call made with keys of this namespace."),
    per: z.enum(["User", "Team", "ApiKey", "Model"]).optional().describe("One such budget for each; absent: one for all."),
    enforcement: z
      .enum(["Hard", "Soft", "Shadow"])
      .default("Hard")
      .describe("Hard: calls that could exceed it are refused. Soft: nothing is refused for the amount. Shadow: it is counted only, and throttles nothing."),
    throttle: z
      .strictObject({
        atPercent: z.int().min(1).max(100).describe("From this share of the amount on."),
        passPercent: z.int().min(0).max(99).describe("This share of the calls passes, drawn by lot; the others get 429 and may try again."),
      })
      .optional()
      .describe("Slow callers down before the amount is used up."),
    limits: scopedLimits.optional(),
    expiresAt: moment.optional().describe("The moment from which nothing of this is in force any more, such as 2027-02-28T12:00:00Z."),
    onStateLoss: z
      .enum(["Allow", "Deny"])
      .default("Deny")
      .describe(
        "Hard budgets where fleet state can't be reached. Deny: only what is leased is spent, then calls get 503. Allow: calls pass, and are charged later.",
      ),
  })
  .meta({
    cel: [
      { rule: "has(self.amount) || has(self.limits)", message: "set amount and period, or limits, or both: there is nothing to hold" },
      { rule: "has(self.amount) == has(self.period)", message: "amount and period belong together: set both or neither" },
      { rule: "has(self.amount) || !has(self.throttle)", message: "throttle goes by a share of amount: set amount and period" },
    ],
  })
  .describe("What is wanted of the budget.");
export type BudgetSpec = z.output<typeof budgetSpec>;

export const budgetStatus = z.strictObject({ ...statusBase }).describe("What is the case.");
