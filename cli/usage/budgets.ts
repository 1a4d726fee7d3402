/** The share of the ledger's calls that hard budgets would have refused, hour by hour. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { budgetPeriodAt, type MoneyBudget, pays, subjectOfCall } from "../../proxy/pipeline/budget-claims.ts";
import type { ReplayedRow } from "../../proxy/pipeline/replay.ts";

/** A row's calls, and what they would cost. */
export interface Spending {
  row: LedgerRow;
  replayed: ReplayedRow;
  nanoUsd: number;
}

/** The share of a row's calls that don't fit, and the budget with the least room; null if all fit. */
export type Overrun = { share: number; budget: MoneyBudget } | null;

const counterOf = (budget: MoneyBudget, { row, replayed }: Spending): string =>
  JSON.stringify([
    budget.id,
    budgetPeriodAt(budget, row.hourMs).startMs,
    subjectOfCall(budget, replayed.identity, replayed.model),
  ]);

const spends = (budget: MoneyBudget, { replayed }: Spending): boolean =>
  replayed.shares.some(({ target }) => pays(budget, target.config.provider));

export class BudgetReplay {
  /** nano-USD by counter. */
  readonly #spent = new Map<string, number>();

  /**
   * Adds the rows of one hour; call it for hours in order. An excess within an hour is spread over the hour's calls.
   */
  hour(rows: readonly Spending[]): Overrun[] {
    const wanted = new Map<string, number>();
    for (const spending of rows)
      for (const budget of spending.replayed.budgets) {
        const counter = counterOf(budget, spending);
        if (spends(budget, spending)) wanted.set(counter, (wanted.get(counter) ?? 0) + spending.nanoUsd);
      }
    const overruns = rows.map((spending) => this.#overrun(spending, wanted));
    for (const [index, spending] of rows.entries()) this.#spend(spending, overruns[index] ?? null);
    return overruns;
  }

  #overrun(spending: Spending, wanted: ReadonlyMap<string, number>): Overrun {
    let worst: Overrun = null;
    // Calls that cost nothing pass an exhausted budget.
    if (spending.nanoUsd === 0) return worst;
    for (const budget of spending.replayed.budgets) {
      const counter = counterOf(budget, spending);
      const sum = wanted.get(counter) ?? 0;
      const room = Math.max(0, budget.amountNanoUsd - (this.#spent.get(counter) ?? 0));
      const share = sum <= room ? 0 : 1 - room / sum;
      if (share > (worst?.share ?? 0)) worst = { share, budget };
    }
    return worst;
  }

  #spend(spending: Spending, overrun: Overrun): void {
    for (const budget of spending.replayed.budgets) {
      const counter = counterOf(budget, spending);
      const spent = spends(budget, spending) ? spending.nanoUsd * (1 - (overrun?.share ?? 0)) : 0;
      this.#spent.set(counter, (this.#spent.get(counter) ?? 0) + spent);
    }
  }
}
