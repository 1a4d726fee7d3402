/** What this proxy knows of the budgets' present periods: for the operator, which puts it into their status. */
import type { BudgetReading } from "../config/budget.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { budgetPeriodAt, isMoney } from "./budget-claims.ts";

/** Of one budget, those who spent most. */
const mostGroups = 100;
/** Subjects of one budget for which it was refused, as they are told. */
const mostRefused = 500;

/** `readings`: also what the store holds; without, only what was refused here, which costs no round trip. */
export function readBudgets(
  snapshot: Snapshot,
  store: FleetStore,
  quotas: Quotas,
  nowMs: number,
  readings: boolean,
): Promise<BudgetReading[]> {
  const budgets = [...snapshot.budgets.values()].flat().filter(isMoney);
  return Promise.all(
    budgets.map(async (budget) => {
      const { startMs, endMs } = budgetPeriodAt(budget, nowMs);
      const groups = readings ? await store.readBudget(budget.id, startMs) : [];
      groups.sort((a, b) => b.spent - a.spent);
      return {
        id: budget.id,
        periodStartMs: startMs,
        resetsAtMs: endMs,
        spentNanoUsd: groups.reduce((sum, { spent }) => sum + spent, 0),
        groupCount: groups.length,
        groups: groups.slice(0, mostGroups).map(({ subject, spent }) => ({ subject, spentNanoUsd: spent })),
        refused: quotas.refusals.of(budget.id, startMs).slice(0, mostRefused),
      };
    }),
  );
}
