/** What the memory store knows of a period's or a concurrency counter, and of each proxy that holds a lease of it. */
import type { LeaseOp } from "./store.ts";

export interface Holding {
  seq: number;
  granted: number;
  returned: number;
  spent: number;
  seenMs: number;
  /** The most that is spent and reserved; null if unknown. */
  inUse: number | null;
  /** What it is presumed to have spent unreported, once taken for dead. */
  presumed: number | null;
}

export interface LeaseCounter {
  epoch: string;
  bornMs: number;
  version: number;
  /** Used and spent before this epoch started, from the holder with the most recent view. */
  base: { version: number; used: number; spent: number };
  used: number;
  spent: number;
  recoverUntilMs: number;
  expiresAtMs: number | null;
  holders: Map<string, Holding>;
  /** The last operation, and since when there was no gap between operations. */
  lastMs: number;
  watchedSinceMs: number;
}

export const newHolding = (seenMs: number): Holding => ({
  seq: 0,
  granted: 0,
  returned: 0,
  spent: 0,
  seenMs,
  inUse: null,
  presumed: null,
});

/** Charges what a dead holder had in use, and frees the rest of its lease. */
export function presumeDead(counter: LeaseCounter, holding: Holding): void {
  if (holding.inUse === null) return;
  const leased = holding.granted - holding.returned;
  const kept = Math.max(holding.spent, Math.min(leased, holding.inUse));
  const unreported = kept - holding.spent;
  counter.used -= Math.max(0, leased - kept);
  counter.spent += unreported;
  holding.granted = Math.min(holding.granted, holding.returned + kept);
  holding.spent = kept;
  holding.presumed = (holding.presumed ?? 0) + unreported;
  holding.seenMs = Number.POSITIVE_INFINITY;
}

/** Undoes `presumeDead` for a holder that reports again. */
export function revived(counter: LeaseCounter, holding: Holding, op: LeaseOp): Holding {
  if (holding.presumed === null) return holding;
  // A grant whose answer was lost is not part of the lease anymore.
  counter.used += op.granted - holding.granted;
  holding.granted = op.granted;
  counter.spent -= holding.presumed;
  holding.spent -= holding.presumed;
  holding.presumed = null;
  return holding;
}
