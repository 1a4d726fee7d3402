/** `Budget`: how much may be spent, by whom, in which period. */
import { z } from "zod";
import { decimal, modelName, objectName, statusBase, subject, timeZone } from "./scalars.ts";

const subjects = (what: string) => z.array(subject).min(1).max(256).optional().meta({ listType: "set" }).describe(`Calls of one of these ${what}.`);

export const budgetSpec = z
  .strictObject({
    amount: decimal.describe("USD for each period."),
    period: z.enum(["Hourly", "Daily", "Weekly", "Monthly", "Total"]).describe("Weeks begin on Monday. Total never resets."),
    timeZone: timeZone.default("UTC").describe("IANA time zone in which periods begin."),
    scope: z
      .strictObject({
        users: subjects("users"),
        teams: subjects("teams"),
        roles: subjects("roles"),
        tags: subjects("tags"),
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
    onStateLoss: z
      .enum(["Allow", "Deny"])
      .default("Deny")
      .describe(
        "Hard budgets where fleet state can't be reached. Deny: only what is leased is spent, then calls get 503. Allow: calls pass, and are charged later.",
      ),
  })
  .describe("What is wanted of the budget.");
export type BudgetSpec = z.output<typeof budgetSpec>;

export const budgetStatus = z.strictObject({ ...statusBase }).describe("What is the case.");
