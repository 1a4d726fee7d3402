/** The budgets that a caller's calls use, with what is left of each, for `GET /v1/sluice/usage`. */
import type { KeyIdentity } from "../call/identity.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { type Currency, inCurrency, usd } from "../config/usage-report.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { budgetPeriodAt, budgetTitle, isMoney, type MoneyBudget, subjectOfCall } from "./budget-claims.ts";
import { counterIdOf, type Recounts } from "./recounts.ts";
import { coversCaller } from "./scope.ts";

/** One budget, or one model's share of it. */
export interface BudgetStanding {
  budget: string;
  period: string;
  time_zone: string;
  enforcement: string;
  /** Whose share this is; absent if all callers in the budget's scope share it. */
  subject?: string;
  /** Models and providers that it is limited to; absent for all. */
  models?: readonly string[];
  providers?: readonly string[];
  resets_at: string | null;
  contact?: string;
  used_percent: number;
  /** Money is left out for callers who may not see costs. */
  amount_usd?: string;
  spent_usd?: string;
  left_usd?: string;
  [inOwnCurrency: `left_${string}`]: string | undefined;
}

/** Sessions of a key that are listed: those that spent most. */
const maxSessions = 20;

interface Sources {
  ledger: Pick<FleetStore, "readBudget">;
  recounts?: Recounts;
  nowMs(): number;
}

function termsOf(budget: MoneyBudget, endMs: number | null): Omit<BudgetStanding, "used_percent"> {
  const { models, providers } = budget.scope;
  return {
    budget: budgetTitle(budget),
    period: budget.period,
    time_zone: budget.timeZone,
    enforcement: budget.enforcement,
    resets_at: endMs === null ? null : new Date(endMs).toISOString(),
    ...(models === null ? {} : { models }),
    ...(providers === null ? {} : { providers }),
    ...(budget.contact === undefined ? {} : { contact: budget.contact }),
  };
}

function money(budget: MoneyBudget, spent: number, currency: Currency | null): Partial<BudgetStanding> {
  const left = Math.max(0, budget.amountNanoUsd - spent);
  return {
    amount_usd: usd(budget.amountNanoUsd),
    spent_usd: usd(spent),
    left_usd: usd(left),
    ...(currency === null ? {} : { [`left_${currency.code.toLowerCase()}`]: inCurrency(left, currency) }),
  };
}

/** What each subject has spent, including what was spent under earlier terms. */
async function spentBy(
  budget: MoneyBudget,
  subject: string | null,
  startMs: number,
  { ledger, recounts }: Sources,
): Promise<Map<string, number>> {
  const before = await recounts?.read(budget, startMs);
  const spent = new Map<string, number>();
  for (const [name, nanoUsd] of before ?? []) if (subject === null || name === subject) spent.set(name, nanoUsd);
  const readings = await ledger.readBudget(counterIdOf(budget), startMs, subject ?? undefined);
  for (const reading of readings) spent.set(reading.subject, reading.spent);
  if (subject !== null && !spent.has(subject)) spent.set(subject, 0);
  return spent;
}

/** Callers see only the sessions of their own key. */
function ownShares(
  { per }: BudgetConfig,
  { key }: KeyIdentity,
  spent: ReadonlyMap<string, number>,
): [subject: string, nanoUsd: number][] {
  if (per !== "Session") return [...spent];
  const own = [...spent].filter(([subject]) => subject.endsWith(`@${key.id}`));
  return own.sort((a, b) => b[1] - a[1]).slice(0, maxSessions);
}

const covers = (budget: BudgetConfig, { key }: KeyIdentity, nowMs: number): budget is MoneyBudget =>
  isMoney(budget) && (budget.expiresAtMs === null || nowMs < budget.expiresAtMs) && coversCaller(budget, key);

/** `costs`: whether the caller may see money. */
export async function budgetsOfCaller(
  identity: KeyIdentity,
  snapshot: Snapshot,
  sources: Sources,
  costs: boolean,
): Promise<BudgetStanding[]> {
  const nowMs = sources.nowMs();
  const own = snapshot.budgets.get(identity.namespace) ?? [];
  const role = snapshot.roles.get(identity.key.role)?.budget ?? null;
  const budgets = [...own, ...(role === null ? [] : [role])].filter((budget) => covers(budget, identity, nowMs));
  const currency = snapshot.settings.currency ?? null;
  const standings = await Promise.all(
    budgets.map(async (budget) => {
      const { startMs, endMs } = budgetPeriodAt(budget, nowMs);
      const subject = budget.per === "Model" || budget.per === "Session" ? null : subjectOfCall(budget, identity, "");
      const spent = await spentBy(budget, subject, startMs, sources);
      return ownShares(budget, identity, spent).map(([name, nanoUsd]) => ({
        ...termsOf(budget, endMs),
        ...(name === "" ? {} : { subject: name }),
        used_percent: budget.amountNanoUsd === 0 ? 100 : Math.floor((100 * nanoUsd) / budget.amountNanoUsd),
        ...(costs ? money(budget, nanoUsd, currency) : {}),
      }));
    }),
  );
  return standings.flat();
}
