/** What this proxy knows about the budgets' current periods, for the operator, which writes it to their status. */
import type { BudgetReading } from "../config/budget.ts";
import type { Quotas } from "../fleet/quotas.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { budgetPeriodAt, isMoney, type MoneyBudget } from "./budget-claims.ts";
import { counterIdOf, type Recounts } from "./recounts.ts";

/** Most subjects reported per budget: those who spent most. */
const maxGroups = 100;
/** Subjects of one budget whose calls were refused, as shown in the status. */
const maxRefused = 500;

/** How long after a period's end calls that began in it are waited for. */
const lateMs = 3_600_000;

const sumOf = (groups: BudgetReading["groups"]): number =>
  groups.reduce((sum, { spentNanoUsd }) => sum + spentNanoUsd, 0);

/** The previous period, while calls that began in it may still be running. */
async function periodBefore(
  budget: MoneyBudget,
  startMs: number,
  nowMs: number,
  store: Pick<FleetStore, "readBudget">,
): Promise<Pick<BudgetReading, "before">> {
  if (budget.period === "Total" || nowMs - startMs >= lateMs) return {};
  const { startMs: periodStartMs } = budgetPeriodAt(budget, startMs - 1);
  const counters = await store.readBudget(counterIdOf(budget), periodStartMs);
  return { before: { periodStartMs, spentNanoUsd: counters.reduce((sum, { spent }) => sum + spent, 0) } };
}

/** What each subject spent; from the recount for subjects without a counter yet. */
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

/** `readings`: whether to include what the store holds. Without it, only local refusals, which need no round trip. */
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
        spentNanoUsd: sumOf(groups),
        ...(readings ? await periodBefore(budget, startMs, nowMs, store) : {}),
        groupCount: groups.length,
        groups: groups.slice(0, maxGroups),
        refused: refused.slice(0, maxRefused),
      };
    }),
  );
}
