/** Budgets in the contract. Money is integer nano-USD. */
import { z } from "zod";
import { id, names, nanoUsd, spentNanoUsd } from "./basics.ts";
import { limitConfig, sessionTimeConfig } from "./limits.ts";

export const budgetConfig = z.object({
  id,
  /** null if money is not limited. */
  amountNanoUsd: nanoUsd.nullable(),
  period: z.enum(["Hourly", "Daily", "Weekly", "Monthly", "Total"]),
  timeZone: z.string(),
  namespace: z.string(),
  /** apiKeys and providers as `namespace/name`. selected: whether only keys whose record names this budget count. */
  scope: z.object({
    users: names,
    teams: names,
    roles: names,
    tags: names,
    models: names,
    providers: names,
    apiKeys: names.default(null),
    selected: z.boolean().default(false),
    /** The key selector, so that a change to it is noticed. The keys' own records name the budgets that select them. */
    selector: z.string().optional(),
  }),
  per: z.enum(["User", "Team", "ApiKey", "Model", "Session"]).nullable(),
  /** Hard refuses what could exceed the budget. Soft and Shadow only count it. */
  enforcement: z.enum(["Hard", "Soft", "Shadow"]),
  /** Above `at` (a share of the amount, 0 to 1), only `pass` (a share of the calls, 0 to 1) go through. */
  throttle: z.object({ at: z.number(), pass: z.number() }).nullable().default(null),
  /** Rate limits with the same scope. Their `per` is the budget's, or Route if it has none. */
  limits: z.array(limitConfig).default([]),
  /** Absent if sessions may last for any time. */
  sessionTime: sessionTimeConfig.optional(),
  /** null if it lasts as long as the object. */
  expiresAtMs: z.int().nullable().default(null),
  onStateLoss: z.enum(["allow", "deny"]).default("deny"),
  /** Whom a refused caller can ask; absent if nobody is named. */
  contact: z.string().optional(),
  /**
   * Set once period, time zone, scope or per have been edited. Money is then counted under a key of this edit's own,
   * which starts from the usage ledger's total for the period so far. `fromMs`: when the Budget was created; usage
   * before it doesn't count.
   */
  counting: z.object({ sinceMs: z.int(), fromMs: z.int() }).optional(),
  /** Past spending, for a store that has forgotten it. Seeds of periods other than the present one are ignored. */
  seeds: z
    .array(
      z.object({
        periodStartMs: z.int(),
        sinceMs: z.int().optional(),
        subject: z.string(),
        spentNanoUsd,
      }),
    )
    .default([]),
});
export type BudgetConfig = z.output<typeof budgetConfig>;

/** A budget in the reply of the proxy status port at /budgets: its present period. */
export const budgetReading = z.object({
  id: z.string(),
  periodStartMs: z.int(),
  /** The `counting.sinceMs` that this reading was counted under; absent if the budget has none. */
  sinceMs: z.int().optional(),
  /** The amount that `refused` refers to. */
  amountNanoUsd: nanoUsd.optional(),
  resetsAtMs: z.int().nullable(),
  /** The sum of all groups. */
  spentNanoUsd,
  /**
   * The sum of the period before, for a while after its end: calls that began in it are charged to it when they are
   * over. Absent otherwise, and in readings of older proxies.
   */
  before: z.object({ periodStartMs: z.int(), spentNanoUsd }).optional(),
  groupCount: z.int().min(0),
  /** The groups that spent most. `subject` is "" if there is one budget for all. */
  groups: z.array(z.object({ subject: z.string(), spentNanoUsd })),
  /** Subjects for whom this proxy refused a call because too little was left. */
  refused: z.array(z.string()),
});
export type BudgetReading = z.output<typeof budgetReading>;

export const budgetReadings = z.object({
  /** Identifies this run of this proxy. */
  instance: z.string(),
  /** Whether other proxies read the same counters. */
  shared: z.boolean(),
  budgets: z.array(budgetReading),
});
export type BudgetReadings = z.output<typeof budgetReadings>;

/** A subject's spending in a period, for a store that has forgotten it. */
export const budgetSeed = z.object({
  budget: z.string(),
  periodStartMs: z.int(),
  sinceMs: z.int().optional(),
  subject: z.string(),
  spentNanoUsd,
});
export type BudgetSeed = z.output<typeof budgetSeed>;
