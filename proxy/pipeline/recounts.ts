/**
 * What a budget whose terms changed had spent earlier in its period, from the usage ledger. Its counters start from
 * that, because a sum under the old terms says nothing about the new ones.
 */
import type { BudgetConfig } from "../config/budget.ts";
import { type LedgerRow, shadowUser } from "../config/ledger.ts";
import type { FleetStore } from "../fleet/store.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { type Caller, coversRow, subjectOf } from "./scope.ts";

type KeyLookup = Pick<Snapshot, "keysOf">;
type Sums = ReadonlyMap<string, number>;

/** The name of the counters for a budget's current terms. */
export const counterIdOf = ({ id, counting }: BudgetConfig): string =>
  counting === undefined ? id : `${id}#${counting.sinceMs}`;

const none: Sums = new Map();
const hourMs = 3_600_000;
/** Most cached recounts, by budget and period; the oldest is dropped first. */
const maxKept = 1_000;

/** Tags and selectors are matched with the key as it is now; the ledger has the rest as of the call. */
function callerOf({ key, user, team, role }: LedgerRow, keys: KeyLookup | null): Caller | null {
  if (key === "") return null;
  const { tags = [], budgets = [] } = keys?.keysOf(key)[0] ?? {};
  return { id: key, user, team: team === "" ? null : team, role, tags, budgets };
}

/** Adds up, by subject, the rows that a budget covers. */
export function recount(budget: BudgetConfig, rows: readonly LedgerRow[], keys: KeyLookup | null): Sums {
  const sums = new Map<string, number>();
  for (const row of rows) {
    if (row.costNanoUsd === 0 || row.user === shadowUser) continue;
    const caller = callerOf(row, keys);
    if (!coversRow(budget, row, caller)) continue;
    const subject = subjectOf(budget, caller, row.model);
    sums.set(subject, (sums.get(subject) ?? 0) + row.costNanoUsd);
  }
  return sums;
}

export class Recounts {
  readonly #store: Pick<FleetStore, "readLedger">;
  /** Writes settled usage to the store's ledger. */
  readonly #flush: () => Promise<void>;
  readonly #snapshot: () => Snapshot | null;
  readonly #nowMs: () => number;
  readonly #known = new Map<string, Sums | Promise<Sums>>();

  constructor(
    store: Pick<FleetStore, "readLedger">,
    flush: () => Promise<void>,
    snapshot: () => Snapshot | null,
    nowMs: () => number,
  ) {
    this.#store = store;
    this.#flush = flush;
    this.#snapshot = snapshot;
    this.#nowMs = nowMs;
  }

  /** If the period began under the current terms, the counters have all of it. */
  #key(budget: BudgetConfig, periodStartMs: number): string | null {
    const { counting } = budget;
    return counting === undefined || periodStartMs >= counting.sinceMs
      ? null
      : `${counterIdOf(budget)}|${periodStartMs}`;
  }

  /** Spending by subject; null if it isn't known yet, see `read`. */
  known(budget: BudgetConfig, periodStartMs: number): Sums | null {
    const key = this.#key(budget, periodStartMs);
    if (key === null) return none;
    const sums = this.#known.get(key);
    return sums === undefined || sums instanceof Promise ? null : sums;
  }

  /** Rejects if the ledger can't be read; the next call tries again. */
  async read(budget: BudgetConfig, periodStartMs: number): Promise<Sums> {
    const key = this.#key(budget, periodStartMs);
    if (key === null) return none;
    const recount = this.#known.get(key);
    if (recount !== undefined) return recount;
    const oldest = this.#known.size >= maxKept ? this.#known.keys().next().value : undefined;
    if (oldest !== undefined) this.#known.delete(oldest);
    const reading = this.#count(budget, periodStartMs);
    this.#known.set(key, reading);
    try {
      const sums = await reading;
      this.#known.set(key, sums);
      return sums;
    } catch (cause) {
      this.#known.delete(key);
      throw cause;
    }
  }

  /** Whole UTC hours, as in the ledger: the hour in which the period begins counts in full. */
  async #count(budget: BudgetConfig, periodStartMs: number): Promise<Sums> {
    await this.#flush();
    const fromMs = Math.max(periodStartMs, budget.counting?.fromMs ?? 0);
    const rows = await this.#store.readLedger(fromMs - (fromMs % hourMs), this.#nowMs() + hourMs);
    return recount(budget, rows, this.#snapshot());
  }
}
