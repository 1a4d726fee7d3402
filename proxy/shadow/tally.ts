/** Comparisons since this proxy began, by hour, added up for reports. */
import {
  type Comparison,
  type ShadowDrop,
  type ShadowReading,
  ShadowRows,
  type ShadowSpan,
} from "../config/shadow-report.ts";

const hourMs = 3_600_000;

/** Names of models come from the config, so this is far more than an installation has in most hours. */
const maxRows = 5_000;
/** An hour's rows, and those of all hours that are no longer kept apart. */
const maxRowsTogether = 1_000;
const keptHours = 31 * 24;

interface HourTally {
  rows: ShadowRows;
  dropped: Map<string, Map<ShadowDrop, number>>;
}

const newTally = (most = maxRowsTogether): HourTally => ({ rows: new ShadowRows(most), dropped: new Map() });

function addDrops(tally: HourTally, policy: string, reason: ShadowDrop, calls: number): void {
  const reasons = tally.dropped.get(policy) ?? new Map<ShadowDrop, number>();
  tally.dropped.set(policy, reasons);
  reasons.set(reason, (reasons.get(reason) ?? 0) + calls);
}

function addTally(sum: HourTally, tally: HourTally): void {
  for (const row of tally.rows.list()) sum.rows.merge(row);
  for (const [policy, reasons] of tally.dropped)
    for (const [reason, calls] of reasons) addDrops(sum, policy, reason, calls);
}

export class ShadowTally {
  readonly #nowMs: () => number;
  readonly #since: string;
  /** By the hour's beginning, oldest first. */
  readonly #hours = new Map<number, HourTally>();
  /** Hours that are no longer kept apart. */
  readonly #earlier = newTally();
  #keptFromMs: number | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#since = new Date(nowMs()).toISOString();
  }

  compared(comparison: Comparison): void {
    this.#hour().rows.add(comparison);
  }

  dropped(policy: string, reason: ShadowDrop): void {
    addDrops(this.#hour(), policy, reason, 1);
  }

  #hour(): HourTally {
    const nowMs = this.#nowMs();
    const startMs = nowMs - (nowMs % hourMs);
    const cached = this.#hours.get(startMs);
    if (cached !== undefined) return cached;
    this.#makeRoom(startMs);
    const hour = newTally();
    this.#hours.set(startMs, hour);
    return hour;
  }

  /** Adds up the oldest hours, so that another one fits. */
  #makeRoom(startMs: number): void {
    const count = (): number => [...this.#hours.values()].reduce((sum, { rows }) => sum + rows.size, 0);
    for (const [oldestMs, oldest] of this.#hours) {
      const tooOld = oldestMs <= startMs - keptHours * hourMs;
      if (!tooOld && count() + 2 * maxRowsTogether <= maxRows) return;
      addTally(this.#earlier, oldest);
      this.#hours.delete(oldestMs);
      this.#keptFromMs = oldestMs + hourMs;
    }
  }

  /** `span`: null for all that was counted. Hours that begin within it count whole. */
  reading(instance: string, span: ShadowSpan | null = null): ShadowReading {
    const sum = newTally(maxRows);
    if (span === null) addTally(sum, this.#earlier);
    for (const [startMs, hour] of this.#hours)
      if (span === null || (startMs + hourMs > span.fromMs && startMs < span.toMs)) addTally(sum, hour);
    const dropped = [...sum.dropped].flatMap(([policy, reasons]) =>
      [...reasons].map(([reason, calls]) => ({ policy, reason, calls })),
    );
    const keptFrom = this.#keptFromMs === null ? this.#since : new Date(this.#keptFromMs).toISOString();
    return { instance, since: this.#since, keptFrom, rows: sum.rows.list(), dropped };
  }
}
