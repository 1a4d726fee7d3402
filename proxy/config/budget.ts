/** The contract's part on budgets. Money is integer nano-USD. */
import { z } from "zod";
import { id, names, nanoUsd } from "./basics.ts";
import { limitConfig } from "./limits.ts";

export const budgetConfig = z.object({
  id,
  /** null: money is not limited. */
  amountNanoUsd: nanoUsd.nullable(),
  period: z.enum(["Hourly", "Daily", "Weekly", "Monthly", "Total"]),
  timeZone: z.string(),
  namespace: z.string(),
  /** apiKeys and providers as `namespace/name`; selected: only keys whose record names this budget. */
  scope: z.object({
    users: names,
    teams: names,
    roles: names,
    tags: names,
    models: names,
    providers: names,
    apiKeys: names.default(null),
    selected: z.boolean().default(false),
    /** The selector, so that a change of it can be told; keys name the budgets that they are picked by. */
    selector: z.string().optional(),
  }),
  per: z.enum(["User", "Team", "ApiKey", "Model"]).nullable(),
  /** Hard: what could exceed it is refused. Soft and Shadow: it is counted. */
  enforcement: z.enum(["Hard", "Soft", "Shadow"]),
  /** From `at` (a share of the amount, 0 to 1) on, only `pass` (a share of the calls, 0 to 1) go through. */
  throttle: z.object({ at: z.number(), pass: z.number() }).nullable().default(null),
  /** Rate limits with the same scope; their `per` is that of the budget, Route where it has none. */
  limits: z.array(limitConfig).default([]),
  /** null: for as long as the object is there. */
  expiresAtMs: z.int().nullable().default(null),
  onStateLoss: z.enum(["allow", "deny"]).default("deny"),
  /**
   * Set once period, time zone, scope or per have been changed: money is counted under a key of this edit's own, which
   * begins from what the usage ledger says of the period so far. `fromMs`: when the Budget was made; nothing before it
   * counts.
   */
  counting: z.object({ sinceMs: z.int(), fromMs: z.int() }).optional(),
  /** What had been spent, for a store that has forgotten it. Of another period than the present one it means nothing. */
  seeds: z
    .array(
      z.object({
        periodStartMs: z.int(),
        sinceMs: z.int().optional(),
        subject: z.string(),
        spentNanoUsd: nanoUsd,
      }),
    )
    .default([]),
});
export type BudgetConfig = z.output<typeof budgetConfig>;

/** What a proxy's status port says at /budgets: the present period of each budget. */
export const budgetReading = z.object({
  id: z.string(),
  periodStartMs: z.int(),
  /** `counting.sinceMs` of the form of the budget that this is of; absent: it has none. */
  sinceMs: z.int().optional(),
  /** The amount that `refused` is about. */
  amountNanoUsd: nanoUsd.optional(),
  resetsAtMs: z.int().nullable(),
  /** By all groups together. */
  spentNanoUsd: nanoUsd,
  groupCount: z.int().min(0),
  /** Those who spent most. `subject`: "" where there is one budget for all. */
  groups: z.array(z.object({ subject: z.string(), spentNanoUsd: nanoUsd })),
  /** Subjects for whom this proxy refused a call, for what was left didn't suffice. */
  refused: z.array(z.string()),
});
export type BudgetReading = z.output<typeof budgetReading>;

export const budgetReadings = z.object({
  /** This run of this proxy. */
  instance: z.string(),
  /** Other proxies read the same. */
  shared: z.boolean(),
  budgets: z.array(budgetReading),
});
export type BudgetReadings = z.output<typeof budgetReadings>;

/** What had been spent by a subject in a period, for a store that has forgotten it. */
export const budgetSeed = z.object({
  budget: z.string(),
  periodStartMs: z.int(),
  sinceMs: z.int().optional(),
  subject: z.string(),
  spentNanoUsd: nanoUsd,
});
export type BudgetSeed = z.output<typeof budgetSeed>;
