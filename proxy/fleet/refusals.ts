/**
 * Budget counters for which this proxy refused a call. The operator reports them in the budgets' status. A refusal is
 * valid only for the amount in force at the time; once the amount changes, it is ignored.
 */
import { budgetKey } from "./store.ts";

/** Number of refusals kept; the oldest are dropped. */
const most = 10_000;

export class Refusals {
  readonly #amounts = new Map<string, number>();

  /** Records that a call was refused because too little of this budget was left. */
  note(key: string, amountNanoUsd: number): void {
    if (this.#amounts.size >= most && !this.#amounts.has(key))
      this.#amounts.delete(this.#amounts.keys().next().value ?? "");
    this.#amounts.set(key, amountNanoUsd);
  }

  /** Returns the subjects of a budget's period that were refused under this amount. */
  of(id: string, periodStartMs: number, amountNanoUsd: number): string[] {
    const prefix = budgetKey(id, periodStartMs, "");
    return [...this.#amounts]
      .filter(([key, amount]) => amount === amountNanoUsd && key.startsWith(prefix))
      .map(([key]) => key.slice(prefix.length));
  }
}
