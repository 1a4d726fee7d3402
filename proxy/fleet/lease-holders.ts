/** What the memory store knows of a period's or a concurrency counter, and of each proxy that holds a lease of it. */
import { parseShares, type Share } from "./shares.ts";
import type { LeaseOp } from "./store.ts";

export interface Holding {
  seq: number;
  granted: number;
  returned: number;
  spent: number;
  seenMs: number;
  /** The most that is spent and reserved; null if unknown. */
  inUse: number | null;
  /** What its totals replaced of the epoch's base, and what it knew to be spent; null for concurrent calls. */
  replaced: { used: number; spent: number; confirmed: number } | null;
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
  /** What recent holders have of `used` and `spent`. */
  shares: Map<string, Share>;
  /** The last operation, and since when there was no gap between operations. */
  lastMs: number;
  watchedSinceMs: number;
}

export const newCounter = (epoch: string, bornMs: number, used: number, spent: number): LeaseCounter => ({
  epoch,
  bornMs,
  version: 0,
  base: { version: 0, used, spent },
  used,
  spent,
  recoverUntilMs: 0,
  expiresAtMs: null,
  holders: new Map(),
  shares: new Map(),
  lastMs: bornMs,
  watchedSinceMs: bornMs,
});

export const newHolding = (seenMs: number): Holding => ({
  seq: 0,
  granted: 0,
  returned: 0,
  spent: 0,
  seenMs,
  inUse: null,
  replaced: null,
  presumed: null,
});

/** The shares of a view from another epoch, whose times are of another clock. */
export const renewed = (text: string, seenMs: number): Map<string, Share> =>
  new Map([...parseShares(text)].map(([name, share]) => [name, { ...share, seenMs }]));

/** What the base has of a holder. If the view doesn't say, it is at least what the holder knows to be counted. */
const shareOf = (shares: ReadonlyMap<string, Share>, holder: string, confirmed: number): Omit<Share, "seenMs"> =>
  shares.get(holder) ?? { used: confirmed, spent: confirmed };

/** Starts the epoch from a newer view of the last one, which may hold more or less of those who have entered since. */
export function rebase(counter: LeaseCounter, op: LeaseOp, nowMs: number): void {
  const { base, holders } = counter;
  const [used, spent] = [Math.max(op.seed, op.seenUsed), Math.max(op.seed, op.seenSpent)];
  const shares = renewed(op.seenShares, nowMs);
  counter.used += used - base.used;
  counter.spent += spent - base.spent;
  for (const [name, { replaced }] of holders) {
    if (replaced === null) continue;
    const share = shareOf(shares, name, replaced.confirmed);
    counter.used += replaced.used - share.used;
    counter.spent += replaced.spent - share.spent;
    Object.assign(replaced, { used: share.used, spent: share.spent });
    const own = counter.shares.get(name);
    if (own !== undefined) shares.set(name, own);
  }
  counter.shares = shares;
  counter.base = { version: op.seenVersion, used, spent };
  counter.version = Math.max(counter.version, op.seenVersion);
}

/** A holder's own totals replace what the view of the last epoch had of it. */
export function entered(counter: LeaseCounter, holder: string, op: LeaseOp, nowMs: number): Holding {
  const { granted, returned, spent, confirmed } = op;
  const share = shareOf(counter.shares, holder, confirmed);
  counter.used += granted - returned - share.used;
  counter.spent += spent - share.spent;
  const replaced = { used: share.used, spent: share.spent, confirmed };
  return { ...newHolding(nowMs), granted, returned, spent, replaced };
}

/** Charges what a dead holder had in use, and frees the rest of its lease. */
export function presumeDead(counter: LeaseCounter, name: string, holding: Holding): void {
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
  const share = counter.shares.get(name);
  if (share !== undefined) Object.assign(share, { used: kept, spent: kept });
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
