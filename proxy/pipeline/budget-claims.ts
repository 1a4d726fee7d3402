/** Which budgets a call falls under, and what it takes of each. */

import { attemptCharges, type BilledUsage, chargesOf, costOf } from "../call/charges.ts";
import type { Identity } from "../call/identity.ts";
import type { CallRecord } from "../call/record.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { periods } from "../config/periods.ts";
import { type Failure, failure } from "../failure.ts";
import type { Refused } from "../fleet/claim-set.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { CounterSpec } from "../fleet/slice.ts";
import { budgetKey } from "../fleet/store.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { type Charge, unavailable } from "./limit-claims.ts";
import type { ScopeSubject } from "./scope.ts";
import type { WorstCost } from "./worst-case.ts";

/** One that limits money. */
export type MoneyBudget = BudgetConfig & { amountNanoUsd: number };

export interface BudgetSubject extends ScopeSubject {
  /** Those that cover the call. */
  budgets: readonly BudgetConfig[];
  /** Computed once where a budget asks; null where a price is unknown. */
  worst(targets: readonly ResolvedTarget[]): WorstCost | null;
}

export interface BudgetWith {
  quotas: Quotas;
  nowMs(): number;
  /** 0 to 1. */
  random(): number;
}

/** Counters are kept this long after their period, for reports. */
const keptMs = 62 * 86_400_000;
/** What a throttled caller is told to wait, in milliseconds. */
const throttledMs = 5_000;
const periodOf = periods();

export const isMoney = (budget: BudgetConfig): budget is MoneyBudget => budget.amountNanoUsd !== null;

export const budgetPeriodAt = ({ period, timeZone }: BudgetConfig, nowMs: number) => periodOf(period, timeZone, nowMs);

export const inUsd = (nanoUsd: number): string => `USD ${(nanoUsd / 1e9).toFixed(nanoUsd >= 1e9 ? 2 : 6)}`;

function subjectOf({ per, namespace }: BudgetConfig, identity: Identity, model: string): string {
  if (per === null) return "";
  if (per === "Model") return model;
  if (identity.anonymous) return "";
  // A role's: users of one name in two namespaces are two.
  if (namespace === "") return `${identity.namespace}/${identity.key.user}`;
  if (per === "User") return identity.key.user;
  return per === "Team" ? (identity.key.team ?? "") : identity.key.id;
}

export type BudgetCounter = CounterSpec & { startsAtMs: number; resetsAtMs: number | null };

const counters = new WeakMap<MoneyBudget, Map<string, BudgetCounter>>();
/** Subjects of one budget whose counters are kept made. */
const mostKept = 10_000;

/** The counter of a budget for a subject at a moment. */
function budgetCounter(budget: MoneyBudget, subject: string, nowMs: number): BudgetCounter {
  const { startMs, endMs } = periodOf(budget.period, budget.timeZone, nowMs);
  let made = counters.get(budget);
  if (made === undefined || made.size > mostKept) counters.set(budget, (made = new Map()));
  const known = made.get(subject);
  if (known !== undefined && known.startsAtMs === startMs) return known;
  const counter = makeCounter(budget, subject, startMs, endMs);
  made.set(subject, counter);
  return counter;
}

function makeCounter(budget: MoneyBudget, subject: string, startMs: number, endMs: number | null): BudgetCounter {
  const seed = budget.seeds.find((one) => one.periodStartMs === startMs && one.subject === subject);
  return {
    key: budgetKey(budget.id, startMs, subject),
    kind: "period",
    limit: budget.enforcement === "Hard" ? budget.amountNanoUsd : null,
    windowMs: 0,
    seed: seed?.spentNanoUsd ?? 0,
    expiresAtMs: endMs === null ? null : endMs + keptMs,
    onStateLoss: budget.onStateLoss,
    startsAtMs: startMs,
    resetsAtMs: endMs,
  };
}

/** A call that is refused while much is left was too large; it doesn't tell that the budget is at its end. */
const nearlyUsedUp = ({ amountNanoUsd }: MoneyBudget, spent: number): boolean => spent >= 0.8 * amountNanoUsd;

const resets = (atMs: number | null): string =>
  atMs === null ? "It does not reset." : `It resets at ${new Date(atMs).toISOString()}.`;

/** A role's is told from a Budget by its id, which no object can have. */
const nameOf = ({ id, namespace }: BudgetConfig): string => (namespace === "" ? `of the ${id}` : id);

function refusal(
  budget: MoneyBudget,
  resetsAtMs: number | null,
  worst: number,
  refused: Refused,
  { quotas, nowMs }: BudgetWith,
): Failure {
  if (refused.why === "unavailable") return unavailable(`the budget ${nameOf(budget)}`);
  const left = Math.max(0, budget.amountNanoUsd - quotas.spent(refused.refused));
  const why =
    left === 0
      ? `The budget ${nameOf(budget)} (${inUsd(budget.amountNanoUsd)}, ${budget.period.toLowerCase()}) is used up.`
      : `The budget ${nameOf(budget)} (${inUsd(budget.amountNanoUsd)}, ${budget.period.toLowerCase()}) has ${inUsd(left)} left, and this call could cost up to ${inUsd(worst)}; a lower limit on output tokens may let it pass.`;
  return failure("budget_exceeded", `${why} ${resets(resetsAtMs)}`, {
    retryAfterMs: resetsAtMs === null ? null : Math.max(1_000, resetsAtMs - nowMs()),
  });
}

function throttled(budget: MoneyBudget, counter: CounterSpec, { quotas, random }: BudgetWith): Failure | null {
  if (budget.throttle === null || budget.enforcement === "Shadow") return null;
  const { at, pass } = budget.throttle;
  if (quotas.spent(counter) < at * budget.amountNanoUsd || random() < pass) return null;
  const message = `The budget ${nameOf(budget)} is nearly used up, so only ${Math.round(pass * 100)} % of the calls pass. Try again in a few seconds.`;
  return failure("rate_limit_exceeded", message, { retryAfterMs: throttledMs });
}

/** A provider outside the budget's scope costs it nothing. */
const pays = ({ scope: { providers } }: BudgetConfig, provider: string): boolean =>
  providers === null || providers.includes(provider);

const paidTargets = (budget: BudgetConfig, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] =>
  budget.scope.providers === null ? targets : targets.filter(({ entry }) => pays(budget, entry.account.config.id));

const paid = (budget: BudgetConfig, charges: readonly BilledUsage[]): number =>
  costOf(charges.filter(({ provider }) => pays(budget, provider))) ?? 0;

const unpriced = failure(
  "price_unknown",
  "A hard budget covers this call, and no price is known for its model. Ask the platform team to set the price in the provider's spec.models.",
);

class BudgetDue implements Charge {
  readonly claim: { counter: BudgetCounter; amount: number };
  readonly shows = null;
  readonly #budget: MoneyBudget;
  readonly #with: BudgetWith;

  readonly attempts: NonNullable<Charge["attempts"]>;

  constructor(budget: MoneyBudget, counter: BudgetCounter, amount: number, call: BudgetSubject, context: BudgetWith) {
    this.claim = { counter, amount };
    this.#budget = budget;
    this.#with = context;
    this.attempts = {
      most: (target) =>
        budget.enforcement === "Hard" && pays(budget, target.entry.account.config.id)
          ? (call.worst([target])?.nanoUsd ?? 0)
          : 0,
      taken: (attempts) => paid(budget, attemptCharges(attempts)),
    };
  }

  actual(record: CallRecord): number {
    return paid(this.#budget, chargesOf(record));
  }

  refuse(why: Refused): Failure {
    const { counter, amount } = this.claim;
    const { quotas } = this.#with;
    if (why.why === "limit" && nearlyUsedUp(this.#budget, quotas.spent(counter))) quotas.refusals.note(counter.key);
    return refusal(this.#budget, counter.resetsAtMs, amount, why, this.#with);
  }
}

/** What the call takes of its budgets, or why it may not be made. */
export function budgetCharges(
  call: BudgetSubject,
  context: BudgetWith,
): { dues: Charge[]; cap: number | null } | Failure {
  const dues: Charge[] = [];
  let cap: number | null = null;
  for (const budget of call.budgets) {
    if (!isMoney(budget)) continue;
    const counter = budgetCounter(budget, subjectOf(budget, call.identity, call.model), context.nowMs());
    let amount = 0;
    if (budget.enforcement === "Hard") {
      const worst = call.worst(paidTargets(budget, call.targets));
      if (worst === null) return unpriced;
      amount = worst.nanoUsd;
      cap ??= worst.cap;
      // What costs nothing passes a budget that is used up, and nothing is left to be settled.
      if (amount === 0) continue;
    }
    const refused = throttled(budget, counter, context);
    if (refused !== null) return refused;
    dues.push(new BudgetDue(budget, counter, amount, call, context));
  }
  return { dues, cap };
}
