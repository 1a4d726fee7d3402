/** The usage ledger, in the memory of one process. */
import { addRow, newerRows, renamedKey, rowKey, rowWithKey } from "./ledger-rows.ts";
import type { LedgerBatch, LedgerRow } from "./store.ts";

export class MemoryLedger {
  readonly #keptHours: number;
  readonly #hours = new Map<number, Map<string, LedgerRow>>();
  /** The last batch of each holder. */
  readonly #batches = new Map<string, number>();

  constructor(keptMs: number) {
    this.#keptHours = keptMs / 3_600_000;
  }

  /** Adds what hasn't been added yet, and calls `added` for each of its rows. */
  addBatches(holder: string, batches: readonly LedgerBatch[], added: (row: LedgerRow) => void): void {
    for (const batch of batches) {
      if (batch.seq <= (this.#batches.get(holder) ?? 0)) continue;
      this.#batches.set(holder, batch.seq);
      for (const row of batch.rows) {
        this.add(row);
        added(row);
      }
    }
  }

  add(row: LedgerRow): void {
    let hour = this.#hours.get(row.hourMs);
    if (hour === undefined) this.#hours.set(row.hourMs, (hour = new Map()));
    addRow(hour, rowKey(row), row);
    while (this.#hours.size > this.#keptHours) this.#hours.delete(Math.min(...this.#hours.keys()));
  }

  read(fromMs: number, toMs: number): LedgerRow[] {
    return newerRows(this.#hours, fromMs, toMs);
  }

  /** See `FleetStore.renameInLedger`. */
  rename(user: string, namespace: string | null, replacement: string): number {
    let changed = 0;
    for (const hour of this.#hours.values()) {
      for (const [key, row] of [...hour]) {
        const renamed = renamedKey(key, user, namespace, replacement);
        if (renamed === null) continue;
        hour.delete(key);
        addRow(hour, renamed, rowWithKey(row, renamed));
        changed++;
      }
    }
    return changed;
  }
}
