/**
 * Fleet state: what several proxies must agree on, behind one interface with two implementations (memory, Redis).
 * docs/fleet-state.md describes the protocol, its bounds and why they hold.
 *
 * A store keeps counters. A proxy never asks it whether one request may pass: it leases a slice of a counter and spends
 * the slice locally (`Quotas`). There are three kinds of counter:
 *
 *   period   a sum that only grows until the period ends: a budget's money. A lease is charged until it is given back,
 *            so nothing is spent twice, whichever proxy dies. The unused part of a dead holder's lease comes back.
 *   held     a number of concurrent things: calls under way. What a dead holder held comes back after `heldTtlMs`.
 *   window   a number of units in any span of `windowMs`, by the store's clock.
 *
 * Amounts are integers: nano-USD, tokens, requests, calls.
 */
import type { LedgerRow } from "../config/ledger.ts";

export type { LedgerRow } from "../config/ledger.ts";

/**
 * One holder's reports and requests for one period or held counter. Totals of a period count from the holder's first
 * use of the counter and go on through epochs; those of a held counter begin with each epoch.
 */
export interface LeaseOp {
  kind: "period" | "held";
  key: string;
  /** The most that may be used; null if it is only counted. */
  limit: number | null;
  /** Spending from before the store knew the counter. */
  seed: number;
  /** When the store may forget the counter, in epoch milliseconds; null for never. */
  expiresAtMs: number | null;
  /**
   * Tells apart the records of a holder that forgot this counter and later used it again: its totals restart, and must
   * not be mixed with the earlier ones. 0 if it never forgets.
   */
  life: number;
  /** The epoch that the holder knows; "" if it knows none. */
  epoch: string;
  /** Grows with each operation, so that a repeated operation grants nothing again. */
  seq: number;
  granted: number;
  returned: number;
  spent: number;
  /** The part of `spent` that the store has confirmed. */
  confirmed: number;
  /**
   * The holder's last view of the whole counter, with its version and the shares of recent holders in it. A new epoch
   * starts from the newest view.
   */
  seenVersion: number;
  seenUsed: number;
  seenSpent: number;
  seenShares: string;
  /** Units that waiting calls need; less than `least` is of no use. */
  need: number;
  least: number;
  /** Units wanted beyond `need`, to spend without asking. */
  want: number;
  /** Spent beyond the lease; granted whatever the limit. */
  debt: number;
  /** The most that is spent and reserved of the lease; absent if unknown. Only this stays charged if the holder dies. */
  inUse?: number;
}

/** A holder's report that more of its lease is in use. */
export interface Growth {
  key: string;
  life: number;
  epoch: string;
  inUse: number;
}

export interface LeaseReply {
  kind: "lease";
  epoch: string;
  /** Total granted to this holder. */
  granted: number;
  /** Grows with each operation on the counter. */
  version: number;
  /** Leased or spent, by all holders. */
  used: number;
  /** Spent by all holders, as far as reported. */
  spent: number;
  /** What recent holders have of these, packed; see `shares.ts`. */
  shares: string;
  /** Whether little is left, so that holders should give back at once what they don't need. */
  tight: boolean;
  /** Whether the store lost its memory a moment ago and waits for holders to report. */
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
  /** Units given back, by the slice in which they were granted. */
  returns: [slice: number, amount: number][];
  /** The epoch that the holder knows; "" or absent if it knows none. */
  epoch?: string;
  /** What the holder took within the window, for a store that has forgotten it. */
  taken?: number;
}

export interface WindowReply {
  kind: "window";
  granted: number;
  slice: number;
  /** Units left after the grant. */
  remaining: number;
  /** Time until there is room for what was needed, in milliseconds. */
  retryMs: number;
  /** Time until the whole limit is free again, in milliseconds. */
  resetMs: number;
  tight: boolean;
  /** Changes when the store forgets what was taken. */
  epoch?: string;
  /**
   * Whether the store forgot its windows a moment ago; it then grants nothing until holders have had time to report.
   */
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
  /** The user, team, key or model whose share this is; "" for a budget shared by all. */
  subject: string;
  /** Leased or spent. */
  used: number;
  /** Spent, as reported by proxies; about a second behind. */
  spent: number;
}

/** Nothing was sent, so the store can't have acted on it. */
export class NotConnected extends Error {
  constructor() {
    super("not connected");
  }
}

export interface FleetStore {
  /** Whether several proxies share the store. */
  readonly shared: boolean;
  /**
   * Returns one reply for each operation, in order; null for an operation that failed. Synchronous if the store is in
   * this process. Throws if the store can't be reached: NotConnected if nothing was sent.
   */
  sync(holder: string, ops: readonly StoreOp[]): StoreReply[] | Promise<(StoreReply | null)[]>;
  /**
   * Reports growth before the calls that cause it are made. Nothing waits for the answer: a report that a killed process
   * has written still arrives.
   */
  noteInUse?(holder: string, grown: readonly Growth[]): void;
  /**
   * Run id of the store's memory at the last heartbeat. It changes when the store restarts; "" before the first
   * heartbeat.
   */
  readonly run: string;
  /** Returns the number of live proxies, including this one. */
  heartbeat(holder: string): number | Promise<number>;
  /** Throws if the store can't be reached; the same batches must then be sent again. */
  addToLedger(holder: string, batches: readonly LedgerBatch[]): void | Promise<void>;
  /** Returns the rows of hours that start in [fromMs, toMs), sorted by hour. */
  readLedger(fromMs: number, toMs: number): Promise<LedgerRow[]>;
  /** Returns the counters of a budget's period, or only that of one subject; see `budgetKey`. */
  readBudget(id: string, periodStartMs: number, subject?: string): Promise<CounterReading[]>;
  /** How long the ledger keeps rows, in milliseconds. */
  readonly ledgerKeptMs: number;
  /**
   * Replaces a user's name in the ledger, and the names of the user's keys. `namespace`: null for all. Returns the
   * number of rows changed.
   */
  renameInLedger(user: string, namespace: string | null, replacement: string): Promise<number>;
  /**
   * Returns true for the first call with this key on any proxy, and false for later ones. `keptMs`: how long the key is
   * remembered, in milliseconds. Throws if the store can't be reached.
   */
  once(key: string, keptMs: number): boolean | Promise<boolean>;
  /**
   * Milliseconds since the first call with this key on any proxy, by the store's clock. `knownMs`: how long ago the
   * caller knows it to have been, for a store that has forgotten it. `keptMs`: how long the key is remembered from now on,
   * in milliseconds. Throws if the store can't be reached.
   */
  age(key: string, knownMs: number, keptMs: number): number | Promise<number>;
  /** The file with state that couldn't be read, or null. Hard budgets stay closed until that file is removed. */
  damage?(): { path: string; lines: number } | null;
  /** The policy by which the store drops counters when its memory is full, or null. */
  eviction?(): string | null;
  close(): Promise<void>;
}

/** How long a silent holder counts as alive and keeps its share of a `held` counter, in milliseconds. */
export const heldTtlMs = 10_000;
/**
 * If no holder reported for this long, the store may have been paused; it presumes holders dead only after it has
 * received reports for this long again, in milliseconds.
 */
export const watchMs = 3_000;
/**
 * After losing its memory, a store grants nothing from limited counters for this long, so that holders can report, in
 * milliseconds.
 */
export const recoveryMs = 1_500;
/** How long the ledger keeps rows unless the installation says otherwise: 62 days. */
export const usualLedgerMs = 62 * 86_400_000;
const slicesPerWindow = 120;

/** A store with this much latency is still of use to short windows, in milliseconds. */
const minLifeMs = 250;

/** How long units of a window may be spent after they were granted, in milliseconds. */
export const windowLifeMs = (windowMs: number): number =>
  Math.min(1_000, Math.max(sliceMsOf(windowMs), Math.min(minLifeMs, Math.floor(windowMs / 20))));
export const sliceMsOf = (windowMs: number): number => Math.max(1, Math.floor(windowMs / slicesPerWindow));

/** The prefix that the keys of all of a budget's subjects share. */
export const budgetPeriod = (id: string, periodStartMs: number): string => `b|${id}|${periodStartMs}`;
export const budgetKey = (id: string, periodStartMs: number, subject: string): string =>
  `${budgetPeriod(id, periodStartMs)}|${subject}`;

/** Returns the period and subject of a budget's key; null for other counters. */
export function partsOfBudgetKey(key: string): { period: string; subject: string } | null {
  const parts = /^(b\|[^|]*\|-?\d+)\|(.*)$/s.exec(key);
  return parts === null ? null : { period: parts[1] ?? "", subject: parts[2] ?? "" };
}

/**
 * How much of the remainder one holder gets: what its waiting calls need, plus as much of what it wants as leaves the
 * others their share. Both stores use this arithmetic.
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

/** Whether less than a few leases is left. */
export const isTight = (remaining: number, op: { need: number; want: number }, holders: number): boolean =>
  remaining < 8 * Math.max(1, holders) * Math.max(1, op.need + op.want);

/** The name under which a store keeps a holder's totals. */
export const keeper = (holder: string, life: number): string => (life === 0 ? holder : `${holder}~${life}`);
