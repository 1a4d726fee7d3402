/**
 * Budget counters for which a call was refused here: for the operator, which puts them into the budgets' status. A
 * refusal holds for the amount that was in force: after a change of the amount it says nothing.
 */
import { budgetKey } from "./store.ts";

/** So many are remembered, the latest. */
const most = 10_000;

export class Refusals {
  readonly #amounts = new Map<string, number>();

  /** A call was refused for what is left of this budget counter. */
  note(key: string, amountNanoUsd: number): void {
    if (this.#amounts.size >= most && !this.#amounts.has(key))
      this.#amounts.delete(this.#amounts.keys().next().value ?? "");
    this.#amounts.set(key, amountNanoUsd);
  }

  /** Subjects of a budget's period that were refused under this amount. */
  of(id: string, periodStartMs: number, amountNanoUsd: number): string[] {
    const prefix = budgetKey(id, periodStartMs, "");
    return [...this.#amounts]
      .filter(([key, amount]) => amount === amountNanoUsd && key.startsWith(prefix))
      .map(([key]) => key.slice(prefix.length));
  }
}
