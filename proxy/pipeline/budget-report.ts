/** What this proxy knows of the budgets' present periods: for the operator, which puts it into their status. */
import type { BudgetReading } from "../config/budget.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { budgetPeriodAt, isMoney, type MoneyBudget } from "./budget-claims.ts";
import { counterIdOf, type Recounts } from "./recounts.ts";

/** Of one budget, those who spent most. */
const mostGroups = 100;
/** Subjects of one budget for which it was refused, as they are told. */
const mostRefused = 500;

/** What each subject spent; the recount stands for those whose counter has not begun. */
async function groupsOf(
  budget: MoneyBudget,
  startMs: number,
  store: FleetStore,
  recounts: Recounts,
): Promise<BudgetReading["groups"]> {
  const spent = new Map(await recounts.read(budget, startMs));
  for (const group of await store.readBudget(counterIdOf(budget), startMs)) spent.set(group.subject, group.spent);
  return [...spent].map(([subject, spentNanoUsd]) => ({ subject, spentNanoUsd }));
}

/** `readings`: also what the store holds; without, only what was refused here, which costs no round trip. */
export function readBudgets(
  snapshot: Snapshot,
  { ledger: store, quotas, recounts }: { ledger: FleetStore; quotas: Quotas; recounts: Recounts },
  nowMs: number,
  readings: boolean,
): Promise<BudgetReading[]> {
  const budgets = [...snapshot.budgets.values()].flat().filter(isMoney);
  return Promise.all(
    budgets.map(async (budget) => {
      const { startMs, endMs } = budgetPeriodAt(budget, nowMs);
      const groups = readings ? await groupsOf(budget, startMs, store, recounts) : [];
      groups.sort((a, b) => b.spentNanoUsd - a.spentNanoUsd);
      const refused = quotas.refusals.of(counterIdOf(budget), startMs, budget.amountNanoUsd);
      return {
        id: budget.id,
        periodStartMs: startMs,
        ...(budget.counting === undefined ? {} : { sinceMs: budget.counting.sinceMs }),
        amountNanoUsd: budget.amountNanoUsd,
        resetsAtMs: endMs,
        spentNanoUsd: groups.reduce((sum, { spentNanoUsd }) => sum + spentNanoUsd, 0),
        groupCount: groups.length,
        groups: groups.slice(0, mostGroups),
        refused: refused.slice(0, mostRefused),
      };
    }),
  );
}
