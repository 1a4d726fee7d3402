/** Which budgets cover a call, and what it uses of each. */

import { attemptCharges, type BilledUsage, chargesOf } from "../call/charges.ts";
import type { Identity } from "../call/identity.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import { sessionIdleMs } from "../call/session-room.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { periods } from "../config/periods.ts";
import { type Failure, failure } from "../failure.ts";
import type { Refused } from "../fleet/claim-set.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { CounterSpec } from "../fleet/slice.ts";
import { budgetKey } from "../fleet/store.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { WorstCost } from "./call-bounds.ts";
import { type BudgetLeft, type Charge, unavailable } from "./limit-claims.ts";
import { counterIdOf, type Recounts } from "./recounts.ts";
import { type ScopeSubject, subjectOf } from "./scope.ts";

/** A budget that limits money. */
export type MoneyBudget = BudgetConfig & { amountNanoUsd: number };

export interface BudgetSubject extends ScopeSubject {
  /** The session's name for budgets per session; "" for a caller without a key. */
  session(): string;
  /** Those that cover the call. */
  budgets: readonly BudgetConfig[];
  /** Computed once, on demand; null if a price is unknown. */
  worst(targets: readonly ResolvedTarget[]): WorstCost | null;
}

export interface BudgetWith {
  quotas: Quotas;
  /** Absent if no budget's terms ever change. */
  recounts?: Recounts;
  nowMs(): number;
  /** 0 to 1. */
  random(): number;
}

/** Counters are kept this long after their period, for reports. */
const keptMs = 62 * 86_400_000;
/** Retry-After for a throttled caller, in milliseconds. */
const throttledMs = 5_000;
const hourMs = 3_600_000;
const periodOf = periods();

export const isMoney = (budget: BudgetConfig): budget is MoneyBudget => budget.amountNanoUsd !== null;

export const budgetPeriodAt = ({ period, timeZone }: BudgetConfig, nowMs: number) => periodOf(period, timeZone, nowMs);

export const inUsd = (nanoUsd: number): string =>
  `USD ${(nanoUsd / 1e9).toFixed(nanoUsd >= 1e9 ? 2 : 6).replace(/(\.\d\d)0000$/, "$1")}`;

/** A role's budget applies to each user. Users with the same name in two namespaces are separate. */
export function subjectOfCall(budget: BudgetConfig, identity: Identity, model: string): string {
  if (identity.anonymous) return subjectOf(budget, null, model);
  return budget.namespace === ""
    ? `${identity.namespace}/${identity.key.user}`
    : subjectOf(budget, identity.key, model);
}

const subjectInCall = (budget: BudgetConfig, call: BudgetSubject): string =>
  budget.per === "Session" ? call.session() : subjectOfCall(budget, call.identity, call.model);

/** A session's counter goes this long after its last call. It is set in whole hours, so that few calls change it. */
function sessionExpiry(nowMs: number): number {
  return nowMs - (nowMs % hourMs) + sessionIdleMs + hourMs;
}

export type BudgetCounter = CounterSpec & { startsAtMs: number; resetsAtMs: number | null };

const counters = new WeakMap<MoneyBudget, Map<string, BudgetCounter>>();
/** Most subjects of one budget whose counters are cached. */
const maxKept = 10_000;

/** The counter of a budget for a subject at a given time. */
function budgetCounter(budget: MoneyBudget, subject: string, nowMs: number, recounts?: Recounts): BudgetCounter {
  const { startMs, endMs } = periodOf(budget.period, budget.timeZone, nowMs);
  let made = counters.get(budget);
  if (made === undefined || made.size > maxKept) counters.set(budget, (made = new Map()));
  const cached = made.get(subject);
  const expiresAtMs = budget.per === "Session" ? sessionExpiry(nowMs) : endMs === null ? null : endMs + keptMs;
  if (cached !== undefined && cached.startsAtMs === startMs && cached.expiresAtMs === expiresAtMs) return cached;
  const before = recounts?.known(budget, startMs)?.get(subject) ?? 0;
  const counter = makeCounter(budget, subject, { startMs, endMs, expiresAtMs }, before);
  made.set(subject, counter);
  return counter;
}

function makeCounter(
  budget: MoneyBudget,
  subject: string,
  { startMs, endMs, expiresAtMs }: { startMs: number; endMs: number | null; expiresAtMs: number | null },
  before: number,
): BudgetCounter {
  const sinceMs = budget.counting?.sinceMs;
  const seed = budget.seeds.find(
    (kept) => kept.periodStartMs === startMs && kept.sinceMs === sinceMs && kept.subject === subject,
  );
  return {
    key: budgetKey(counterIdOf(budget), startMs, subject),
    kind: "period",
    limit: budget.enforcement === "Hard" ? budget.amountNanoUsd : null,
    windowMs: 0,
    seed: Math.max(seed?.spentNanoUsd ?? 0, before),
    expiresAtMs,
    onStateLoss: budget.onStateLoss,
    startsAtMs: startMs,
    resetsAtMs: endMs,
  };
}

/** A call refused while much is left was too large, and doesn't show that the budget is exhausted. */
const nearlyUsedUp = ({ amountNanoUsd }: MoneyBudget, spent: number): boolean => spent >= 0.8 * amountNanoUsd;

const resets = (atMs: number | null): string =>
  atMs === null ? "It does not reset." : `It resets at ${new Date(atMs).toISOString()}.`;

/** A role's budget has an id that no Budget object can have. */
export const budgetTitle = ({ id, namespace }: BudgetConfig): string => (namespace === "" ? `role ${id}` : id);

const nameOf = ({ id, namespace }: BudgetConfig): string => (namespace === "" ? `of the ${id}` : id);

/** Its name, amount and period. */
function termsOf(budget: MoneyBudget): string {
  const { amountNanoUsd, period, timeZone, per } = budget;
  const zone = timeZone === "UTC" ? "" : `, ${timeZone}`;
  const whose = per === "Session" ? ", for each session" : "";
  return `${nameOf(budget)} (${inUsd(amountNanoUsd)}, ${period.toLowerCase()}${zone}${whose})`;
}

const whomToAsk = ({ contact }: BudgetConfig): string => (contact === undefined ? "" : ` To get more, ask ${contact}.`);

/** What is neither spent nor left. `unaccounted`: the part held by proxies that have stopped reporting. */
function heldBesides(heldNanoUsd: number, unaccounted: number): string {
  const lost = Math.min(heldNanoUsd, unaccounted);
  const parts = [
    ...(heldNanoUsd > lost ? [`${inUsd(heldNanoUsd - lost)} that is held for calls under way`] : []),
    ...(lost > 0 ? [`${inUsd(lost)} that is held by a proxy that has stopped reporting`] : []),
  ];
  return parts.length === 0 ? "" : `, besides ${parts.join(" and ")}`;
}

function refusal(
  budget: MoneyBudget,
  resetsAtMs: number | null,
  worst: number,
  refused: Refused,
  { quotas, nowMs }: BudgetWith,
): Failure {
  if (refused.why === "unavailable") return unavailable(`the budget ${nameOf(budget)}`);
  const unspent = Math.max(0, budget.amountNanoUsd - quotas.spent(refused.refused));
  // Excludes what calls in flight have reserved and what other proxies hold.
  const left = Math.min(unspent, quotas.reading(refused.refused).remaining);
  const why =
    unspent === 0
      ? `The budget ${termsOf(budget)} is used up.`
      : `The budget ${termsOf(budget)} has ${inUsd(left)} left${heldBesides(unspent - left, quotas.unaccounted(refused.refused))}, and this call could cost up to ${inUsd(worst)}; a lower limit on output tokens may let it pass.`;
  const apart = budget.per === "Session" ? " Another session has its own budget." : "";
  return failure("budget_exceeded", `${why} ${resets(resetsAtMs)}${apart}${whomToAsk(budget)}`, {
    retryAfterMs: resetsAtMs === null ? null : Math.max(1_000, resetsAtMs - nowMs()),
  });
}

function throttled(budget: MoneyBudget, counter: CounterSpec, { quotas, random }: BudgetWith): Failure | null {
  if (budget.throttle === null || budget.enforcement === "Shadow") return null;
  const { at, pass } = budget.throttle;
  if (quotas.spent(counter) < at * budget.amountNanoUsd || random() < pass) return null;
  const message = `The budget ${nameOf(budget)} is nearly used up, so only ${Math.round(pass * 100)} % of the calls pass. Try again in a few seconds.${whomToAsk(budget)}`;
  return failure("rate_limit_exceeded", message, { retryAfterMs: throttledMs });
}

/** A provider outside the budget's scope costs it nothing. */
export const pays = ({ scope: { providers } }: BudgetConfig, provider: string): boolean =>
  providers === null || providers.includes(provider);

const paidTargets = (budget: BudgetConfig, targets: readonly ResolvedTarget[]): readonly ResolvedTarget[] =>
  budget.scope.providers === null ? targets : targets.filter(({ entry }) => pays(budget, entry.account.config.id));

function paid(budget: BudgetConfig, charges: readonly BilledUsage[]): number {
  let sum = 0;
  for (let index = 0; index < charges.length; index++) {
    const { provider, costNanoUsd } = charges[index] as BilledUsage;
    if (pays(budget, provider)) sum += costNanoUsd ?? 0;
  }
  return sum;
}

export const noPrice = failure(
  "price_unknown",
  "A hard budget covers this call, and no price is known for its model. Ask the platform team to set the price in the provider's spec.models.",
);

class BudgetCharge implements Charge {
  readonly counter: BudgetCounter;
  readonly amount: number;
  readonly #budget: MoneyBudget;
  readonly #call: BudgetSubject;
  readonly #with: BudgetWith;

  constructor(budget: MoneyBudget, counter: BudgetCounter, amount: number, call: BudgetSubject, context: BudgetWith) {
    this.counter = counter;
    this.amount = amount;
    this.#budget = budget;
    this.#call = call;
    this.#with = context;
  }

  get shows(): null {
    return null;
  }

  get attempts(): NonNullable<Charge["attempts"]> {
    return this;
  }

  most(target: ResolvedTarget): number {
    return this.#budget.enforcement === "Hard" && pays(this.#budget, target.entry.account.config.id)
      ? (this.#call.worst([target])?.nanoUsd ?? 0)
      : 0;
  }

  taken(attempts: readonly AttemptRecord[]): number {
    return paid(this.#budget, attemptCharges(attempts));
  }

  left(): BudgetLeft {
    const { counter } = this;
    const leftNanoUsd = Math.max(0, this.#budget.amountNanoUsd - this.#with.quotas.spent(counter));
    const { amountNanoUsd } = this.#budget;
    return { budget: budgetTitle(this.#budget), amountNanoUsd, leftNanoUsd, resetsAtMs: counter.resetsAtMs };
  }

  actual(record: CallRecord): number {
    return paid(this.#budget, chargesOf(record));
  }

  refuse(why: Refused): Failure {
    const { counter, amount } = this;
    const { quotas } = this.#with;
    if (why.why === "limit" && nearlyUsedUp(this.#budget, quotas.spent(counter)))
      quotas.refusals.note(counter.key, this.#budget.amountNanoUsd);
    return refusal(this.#budget, counter.resetsAtMs, amount, why, this.#with);
  }
}

function isRecounted(budget: BudgetConfig, { recounts, nowMs }: BudgetWith): boolean {
  if (budget.counting === undefined || recounts === undefined || !isMoney(budget)) return true;
  return recounts.known(budget, budgetPeriodAt(budget, nowMs()).startMs) !== null;
}

/**
 * Reads what budgets with new terms have spent in their period so far; null if all of it is known. If the reading
 * fails, `budgetCharges` refuses calls under hard budgets.
 */
export function recounted(budgets: readonly BudgetConfig[], context: BudgetWith): Promise<unknown> | null {
  const { recounts } = context;
  if (recounts === undefined) return null;
  let waiting: Promise<unknown>[] | null = null;
  for (let index = 0; index < budgets.length; index++) {
    const budget = budgets[index] as BudgetConfig;
    if (isRecounted(budget, context)) continue;
    waiting ??= [];
    waiting.push(recounts.read(budget, budgetPeriodAt(budget, context.nowMs()).startMs));
  }
  return waiting === null ? null : Promise.allSettled(waiting);
}

/** A hard budget whose spending is not known. */
function uncountedOf(budgets: readonly BudgetConfig[], context: BudgetWith): BudgetConfig | null {
  for (let index = 0; index < budgets.length; index++) {
    const budget = budgets[index] as BudgetConfig;
    if (budget.enforcement === "Hard" && !isRecounted(budget, context)) return budget;
  }
  return null;
}

/** Returns what the call uses of its budgets, or why it may not be made. */
export function budgetCharges(
  call: BudgetSubject,
  context: BudgetWith,
): { charges: Charge[]; cap: number | null } | Failure {
  const uncounted = uncountedOf(call.budgets, context);
  if (uncounted !== null) return unavailable(`the budget ${nameOf(uncounted)}`);
  const charges: Charge[] = [];
  let cap: number | null = null;
  for (let index = 0; index < call.budgets.length; index++) {
    const budget = call.budgets[index] as BudgetConfig;
    if (!isMoney(budget)) continue;
    const subject = subjectInCall(budget, call);
    const counter = budgetCounter(budget, subject, context.nowMs(), context.recounts);
    let amount = 0;
    if (budget.enforcement === "Hard") {
      const worst = call.worst(paidTargets(budget, call.targets));
      if (worst === null) return noPrice;
      amount = worst.nanoUsd;
      cap ??= worst.cap;
      // A free call passes an exhausted budget and leaves nothing to settle.
      if (amount === 0) continue;
    }
    const refused = throttled(budget, counter, context);
    if (refused !== null) return refused;
    charges.push(new BudgetCharge(budget, counter, amount, call, context));
  }
  return { charges, cap };
}
