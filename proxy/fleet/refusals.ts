/** Budget counters for which a call was refused here: for the operator, which puts them into the budgets' status. */
import { budgetKey } from "./store.ts";

/** So many are remembered, the latest. */
const most = 10_000;

export class Refusals {
  readonly #keys = new Set<string>();

  /** A call was refused for what is left of this budget counter. */
  note(key: string): void {
    if (this.#keys.size >= most) this.#keys.delete(this.#keys.values().next().value ?? "");
    this.#keys.add(key);
  }

  /** Subjects of a budget's period. */
  of(id: string, periodStartMs: number): string[] {
    const prefix = budgetKey(id, periodStartMs, "");
    return [...this.#keys].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  }
}
