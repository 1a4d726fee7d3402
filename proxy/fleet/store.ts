/**
 * Fleet state: what several proxies have to agree on, behind one interface with two implementations (memory, Redis).
 * The protocol, its bounds and why they hold are in docs/fleet-state.md.
 *
 * A store keeps counters. A proxy never asks it whether one request may pass: it leases a slice of a counter and
 * spends that by itself (`Quotas`). Three kinds:
 *
 *   period   a sum that only grows until the period ends: money of a budget. What a lease holds is charged until it is
 *            given back, so that nothing can be spent twice, whoever dies.
 *   held     a number of things at once: calls under way. What a dead holder held comes back after `heldTtlMs`.
 *   window   a number of units in any span of `windowMs`, by the store's clock.
 *
 * Amounts are integers: nano-USD, tokens, requests, calls.
 */
import type { LedgerRow } from "../config/ledger.ts";

export type { LedgerRow } from "../config/ledger.ts";

/** Reports and asks of one holder about one period or held counter. Sums count from the holder's entry into the epoch. */
export interface LeaseOp {
  kind: "period" | "held";
  key: string;
  /** The most that may be used; null: it is only counted. */
  limit: number | null;
  /** What had been spent before the store knew of it. */
  seed: number;
  /** When the store may forget it, epoch milliseconds; null: never. */
  expiresAtMs: number | null;
  /**
   * Tells what the holder began to keep of this counter after it had forgotten it from what it kept before: its sums
   * begin anew, and must not meet those of then. 0 where it never forgets.
   */
  life: number;
  /** The epoch that the holder knows; "" where it knows none. */
  epoch: string;
  /** Grows with each operation, so that a repeated one grants nothing again. */
  seq: number;
  /** Sums over the epoch. */
  granted: number;
  returned: number;
  spent: number;
  /** What the holder last saw of the whole counter, and when: a new epoch begins from what was seen last. */
  seenVersion: number;
  seenUsed: number;
  seenSpent: number;
  /** Wanted for calls that wait; at least `least` of it is of use. */
  need: number;
  least: number;
  /** Wanted beyond, to spend without asking. */
  want: number;
  /** Spent beyond the lease: granted whatever the limit. */
  debt: number;
}

export interface LeaseReply {
  kind: "lease";
  epoch: string;
  /** Sum granted to this holder in this epoch. */
  granted: number;
  /** Grows with each operation on the counter. */
  version: number;
  /** Of the whole counter: leased or spent. */
  used: number;
  /** Of the whole counter: spent, as far as holders have told. */
  spent: number;
  /** Little is left: what is not needed now should come back now. */
  tight: boolean;
  /** The store has lost its memory a moment ago and waits for holders to report. */
  recovering: boolean;
}

export interface WindowOp {
  kind: "window";
  key: string;
  limit: number;
  windowMs: number;
  need: number;
  least: number;
  want: number;
  debt: number;
  /** Units given back, under the slice in which they were granted. */
  returns: [slice: number, amount: number][];
  /** The epoch that the holder knows; "" or absent where it knows none. */
  epoch?: string;
  /** What the holder took in the window's span, for a store that has forgotten it. */
  taken?: number;
}

export interface WindowReply {
  kind: "window";
  granted: number;
  slice: number;
  /** Left after the grant. */
  remaining: number;
  /** Until there is room for what was needed, in milliseconds. */
  retryMs: number;
  /** Until everything is free again, in milliseconds. */
  resetMs: number;
  tight: boolean;
  /** Changes when the store forgets what was taken. */
  epoch?: string;
  /** The store has forgotten a moment ago, and grants nothing until holders had time to report. */
  recovering?: boolean;
}

export type StoreOp = LeaseOp | WindowOp;
export type StoreReply = LeaseReply | WindowReply;

/** Rows of one hour, applied once however often they are sent. */
export interface LedgerBatch {
  hourMs: number;
  /** Grows with each batch of this holder. */
  seq: number;
  rows: LedgerRow[];
}

export interface CounterReading {
  /** Whose share it is where a budget is kept for each user, team, key or model; "" for one that is for all. */
  subject: string;
  /** Leased or spent. */
  used: number;
  /** Spent, as far as proxies have told: within about a second. */
  spent: number;
}

export interface FleetStore {
  /** Several proxies have the same one. */
  readonly shared: boolean;
  /** One reply an operation, in their order; null where that one failed. At once where the store is in this process. Throws where it can't be reached. */
  sync(holder: string, ops: readonly StoreOp[]): StoreReply[] | Promise<(StoreReply | null)[]>;
  /** Of the store's memory, as the last heartbeat found it: another one means that it began anew. "" before the first. */
  readonly run: string;
  /** Proxies alive, this one among them. */
  heartbeat(holder: string): number | Promise<number>;
  /** Throws where it can't be reached: then the same batches are to be sent again. */
  addToLedger(holder: string, batches: readonly LedgerBatch[]): void | Promise<void>;
  /** Rows of the hours that begin in [fromMs, toMs), sorted by hour. */
  readLedger(fromMs: number, toMs: number): Promise<LedgerRow[]>;
  /** All counters of a budget's period; see `budgetKey`. */
  readBudget(id: string, periodStartMs: number): Promise<CounterReading[]>;
  /** Parts of what it kept can't be read, and were put aside: hard budgets stay closed until somebody takes that file away. */
  damage?(): { path: string; lines: number } | null;
  close(): Promise<void>;
}

/** How long a holder that doesn't report keeps what it holds of a `held` counter, and counts as alive, in milliseconds. */
export const heldTtlMs = 10_000;
/** After a store lost its memory, it grants nothing of a limited counter until holders had this long to report, in milliseconds. */
export const recoveryMs = 1_500;
const slicesPerWindow = 120;

/** A store that answers this late is still of use to short windows, in milliseconds. */
const leastLifeMs = 250;

/** How long units of a window may be spent after they were granted, in milliseconds. */
export const windowLifeMs = (windowMs: number): number =>
  Math.min(1_000, Math.max(sliceMsOf(windowMs), Math.min(leastLifeMs, Math.floor(windowMs / 20))));
export const sliceMsOf = (windowMs: number): number => Math.max(1, Math.floor(windowMs / slicesPerWindow));

/** The part of a budget counter's key that all subjects share. */
export const budgetPeriod = (id: string, periodStartMs: number): string => `b|${id}|${periodStartMs}`;
export const budgetKey = (id: string, periodStartMs: number, subject: string): string =>
  `${budgetPeriod(id, periodStartMs)}|${subject}`;

/** Period and subject of a budget's key; null for other counters. */
export function partsOfBudgetKey(key: string): { period: string; subject: string } | null {
  const parts = /^(b\|[^|]*\|-?\d+)\|(.*)$/s.exec(key);
  return parts === null ? null : { period: parts[1] ?? "", subject: parts[2] ?? "" };
}

/**
 * How much of what is left one holder gets: what its waiting calls need, and of what it wants beyond that as much as
 * leaves the others their share. Both stores use the same arithmetic.
 */
export function leaseShare(
  remaining: number,
  op: { need: number; least: number; want: number },
  holders: number,
  generous: boolean,
): number {
  const needed = remaining >= op.least ? Math.min(op.need, Math.max(0, remaining)) : 0;
  if (needed < op.need || !generous) return needed;
  return Math.max(needed, Math.min(op.need + op.want, Math.floor(Math.max(0, remaining) / (4 * Math.max(1, holders)))));
}

/** What is left is less than a few leases. */
export const isTight = (remaining: number, op: { need: number; want: number }, holders: number): boolean =>
  remaining < 8 * Math.max(1, holders) * Math.max(1, op.need + op.want);

/** Under which name a store keeps a holder's sums. */
export const keeper = (holder: string, life: number): string => (life === 0 ? holder : `${holder}~${life}`);
