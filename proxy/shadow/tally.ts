/** Comparisons since this proxy began, added up for reports. */
import { type Comparison, type ShadowDrop, type ShadowReading, ShadowRows } from "../config/shadow-report.ts";

/** Names of models come from the config, so this is far more than an installation has. */
const maxRows = 5_000;

export class ShadowTally {
  readonly #since: string;
  readonly #rows = new ShadowRows(maxRows);
  readonly #dropped = new Map<string, Map<ShadowDrop, number>>();

  constructor(nowMs: number) {
    this.#since = new Date(nowMs).toISOString();
  }

  compared(comparison: Comparison): void {
    this.#rows.add(comparison);
  }

  dropped(policy: string, reason: ShadowDrop): void {
    const reasons = this.#dropped.get(policy) ?? new Map<ShadowDrop, number>();
    this.#dropped.set(policy, reasons);
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }

  reading(instance: string): ShadowReading {
    const dropped = [...this.#dropped].flatMap(([policy, reasons]) =>
      [...reasons].map(([reason, calls]) => ({ policy, reason, calls })),
    );
    return { instance, since: this.#since, rows: this.#rows.list(), dropped };
  }
}
