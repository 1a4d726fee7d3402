/** Fleet state of one process, in memory. With a journal, spending survives a restart. */
import type { Journal } from "./journal.ts";
import { addRow, newerRows, renamedKey, rowKey, rowWithKey } from "./ledger-rows.ts";
import {
  budgetPeriod,
  type CounterReading,
  type FleetStore,
  type Growth,
  heldTtlMs,
  isTight,
  keeper,
  type LeaseOp,
  type LeaseReply,
  type LedgerBatch,
  type LedgerRow,
  leaseShare,
  partsOfBudgetKey,
  recoveryMs,
  type StoreOp,
  type StoreReply,
  sliceMsOf,
  usualLedgerMs,
  type WindowOp,
  type WindowReply,
  watchMs,
  windowLifeMs,
} from "./store.ts";

interface Holding {
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

interface LeaseCounter {
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

interface WindowCounter {
  epoch: string;
  recoverUntilMs: number;
  windowMs: number;
  slices: Map<number, number>;
  newest: number;
}

/** Expired counters are swept after this many operations. */
const sweepEvery = 4_096;

let stores = 0;

export class MemoryStore implements FleetStore {
  readonly shared = false;
  readonly #nowMs: () => number;
  readonly #journal: Journal | null;
  readonly #leases = new Map<string, LeaseCounter>();
  readonly #windows = new Map<string, WindowCounter>();
  readonly #alive = new Map<string, number>();
  readonly #ledger = new Map<number, Map<string, LedgerRow>>();
  readonly #batches = new Map<string, number>();
  /** Tells apart two stores created by one process in the same millisecond. */
  readonly #store = ++stores;
  #epochs = 0;
  #ops = 0;

  readonly ledgerKeptMs: number;

  constructor(nowMs: () => number, journal: Journal | null = null, ledgerKeptMs = usualLedgerMs) {
    this.#nowMs = nowMs;
    this.ledgerKeptMs = ledgerKeptMs;
    this.#journal = journal;
    if (journal === null) return;
    for (const { key, used, spent, expiresAtMs } of journal.counters.values()) {
      if (expiresAtMs === null || expiresAtMs > nowMs())
        this.#leases.set(key, { ...this.#newCounter(used, spent), expiresAtMs });
    }
    for (const row of journal.rows) this.#addRow(row);
    journal.compact(() => this.#image());
  }

  sync(holder: string, ops: readonly StoreOp[]): StoreReply[] {
    this.#sweep(ops.length);
    const replies = ops.map((op) =>
      op.kind === "window" ? this.#window(op) : this.#lease(keeper(holder, op.life), op),
    );
    this.#journal?.flush();
    return replies;
  }

  damage(): { path: string; lines: number } | null {
    const journal = this.#journal;
    return journal?.isDamaged(this.#nowMs()) ? { path: journal.damagedPath, lines: journal.damagedLines } : null;
  }

  get run(): string {
    return String(this.#store);
  }

  heartbeat(holder: string): number {
    const nowMs = this.#nowMs();
    this.#alive.set(holder, nowMs);
    for (const [name, seenMs] of this.#alive) if (nowMs - seenMs > heldTtlMs) this.#alive.delete(name);
    return this.#alive.size;
  }

  #newCounter(used: number, spent: number): LeaseCounter {
    const nowMs = this.#nowMs();
    const epoch = `m${this.#store}.${++this.#epochs}-${nowMs}`;
    return {
      epoch,
      bornMs: nowMs,
      version: 0,
      base: { version: 0, used, spent },
      used,
      spent,
      recoverUntilMs: 0,
      expiresAtMs: null,
      holders: new Map(),
      lastMs: nowMs,
      watchedSinceMs: nowMs,
    };
  }

  #counter(op: LeaseOp): LeaseCounter {
    const existing = this.#leases.get(op.key);
    if (existing !== undefined) return existing;
    const lost = op.epoch !== "";
    const made = this.#newCounter(
      Math.max(op.seed, lost ? op.seenUsed : 0),
      Math.max(op.seed, lost ? op.seenSpent : 0),
    );
    if (lost) {
      made.base.version = made.version = op.seenVersion;
      made.recoverUntilMs = made.bornMs + recoveryMs;
    }
    this.#leases.set(op.key, made);
    return made;
  }

  /** Returns the holder's record. A holder from a lost epoch enters with its last view of the whole counter. */
  #enter(counter: LeaseCounter, holder: string, op: LeaseOp): Holding {
    const nowMs = this.#nowMs();
    const existing = counter.holders.get(holder);
    if (op.epoch === counter.epoch) {
      if (existing !== undefined) return revived(counter, existing, op);
      const { granted, returned, spent } = op;
      const back: Holding = { ...newHolding(nowMs), granted, returned, spent };
      counter.used += op.granted - op.returned;
      counter.holders.set(holder, back);
      return back;
    }
    if (op.epoch !== "" && op.kind === "period" && op.seenVersion > counter.base.version) {
      const used = Math.max(op.seed, op.seenUsed);
      const spent = Math.max(op.seed, op.seenSpent);
      counter.used += used - counter.base.used;
      counter.spent += spent - counter.base.spent;
      counter.base = { version: op.seenVersion, used, spent };
      counter.version = Math.max(counter.version, op.seenVersion);
      counter.recoverUntilMs = nowMs + recoveryMs;
    }
    const fresh: Holding = existing ?? newHolding(nowMs);
    counter.holders.set(holder, fresh);
    return fresh;
  }

  #lease(holder: string, op: LeaseOp): LeaseReply {
    const nowMs = this.#nowMs();
    const counter = this.#counter(op);
    const entered = op.epoch === counter.epoch;
    const own = this.#enter(counter, holder, op);
    own.seenMs = nowMs;
    own.inUse = op.inUse ?? null;
    if (nowMs - counter.lastMs > watchMs) counter.watchedSinceMs = nowMs;
    counter.lastMs = nowMs;
    counter.version++;
    counter.expiresAtMs = op.expiresAtMs;
    if (entered) {
      counter.used -= Math.max(0, op.returned - own.returned);
      own.returned = Math.max(own.returned, op.returned);
      counter.spent += Math.max(0, op.spent - own.spent);
      own.spent = Math.max(own.spent, op.spent);
    }
    const holders = Math.max(1, this.#alive.size);
    const closed = op.kind === "period" && (this.#journal?.isDamaged(nowMs) ?? false);
    const recovering = op.limit !== null && (closed || nowMs < counter.recoverUntilMs);
    if (op.seq > own.seq) this.#grant(counter, own, op, holders, recovering, nowMs);
    if (op.kind === "period")
      this.#journal?.counter({ key: op.key, used: counter.used, spent: counter.spent, expiresAtMs: op.expiresAtMs });
    const remaining = op.limit === null ? Number.MAX_SAFE_INTEGER : op.limit - counter.used;
    return {
      kind: "lease",
      epoch: counter.epoch,
      granted: own.granted,
      version: counter.version,
      used: counter.used,
      spent: counter.spent,
      tight: op.limit !== null && isTight(remaining, op, holders),
      recovering,
    };
  }

  #grant(counter: LeaseCounter, own: Holding, op: LeaseOp, holders: number, recovering: boolean, nowMs: number): void {
    own.seq = op.seq;
    let amount = op.debt;
    if (!recovering) {
      const left = (): number => (op.limit === null ? Number.MAX_SAFE_INTEGER : op.limit - counter.used - op.debt);
      if (left() < op.need) this.#takeBack(counter, own, op.kind, nowMs);
      amount += leaseShare(left(), op, holders, true);
    }
    counter.used += amount;
    own.granted += amount;
  }

  /** Takes back what silent holders don't use. */
  #takeBack(counter: LeaseCounter, asking: Holding, kind: LeaseOp["kind"], nowMs: number): void {
    if (kind === "period" && nowMs - counter.watchedSinceMs < watchMs) return;
    for (const [name, holding] of counter.holders) {
      if (holding === asking || nowMs - holding.seenMs <= heldTtlMs) continue;
      if (kind === "period") presumeDead(counter, holding);
      else {
        counter.used -= holding.granted - holding.returned;
        counter.holders.delete(name);
      }
    }
  }

  noteInUse(holder: string, grown: readonly Growth[]): void {
    for (const { key, life, epoch, inUse } of grown) {
      const counter = this.#leases.get(key);
      const holding = counter?.holders.get(keeper(holder, life));
      if (counter?.epoch !== epoch || holding === undefined || inUse <= (holding.inUse ?? 0)) continue;
      holding.inUse = inUse;
      holding.seenMs = this.#nowMs();
      // Only the lease of a holder presumed dead was cut. In a new epoch, a live one uses what earlier epochs granted.
      if (holding.presumed === null) continue;
      const missing = Math.max(0, inUse - (holding.granted - holding.returned));
      counter.used += missing;
      holding.granted += missing;
    }
  }

  #windowCounter({ key, windowMs }: WindowOp): WindowCounter {
    const existing = this.#windows.get(key);
    if (existing?.windowMs === windowMs) return existing;
    const epoch = `w${this.#store}.${++this.#epochs}`;
    const made: WindowCounter = { epoch, recoverUntilMs: 0, windowMs, slices: new Map(), newest: 0 };
    this.#windows.set(key, made);
    return made;
  }

  #window(op: WindowOp): WindowReply {
    const nowMs = this.#nowMs();
    const lifeMs = windowLifeMs(op.windowMs);
    const counter = this.#windowCounter(op);
    const { slices, epoch } = counter;
    const freeAtMs = (slice: number): number => (slice + 1) * sliceMsOf(op.windowMs) + op.windowMs + lifeMs;
    // The holder took under an epoch that is forgotten, so reports from other holders are still to come.
    const isForgotten = (op.epoch ?? "") !== "" && op.epoch !== epoch;
    const forgotten = isForgotten ? (op.taken ?? 0) : 0;
    if (isForgotten) counter.recoverUntilMs = nowMs + recoveryMs;
    const debt = Math.max(op.debt, forgotten);
    const recovering = nowMs < counter.recoverUntilMs;
    const total = totalOf(slices, op.returns, (slice) => freeAtMs(slice) <= nowMs);
    const slice = Math.floor(nowMs / sliceMsOf(op.windowMs));
    const holders = Math.max(1, this.#alive.size);
    const granted = recovering ? 0 : leaseShare(op.limit - total - debt, op, holders, true);
    if (granted + debt > 0) {
      slices.set(slice, (slices.get(slice) ?? 0) + granted + debt);
      counter.newest = Math.max(counter.newest, slice);
    }
    const remaining = op.limit - total - granted - debt;
    const missing = op.need - granted - remaining;
    return {
      kind: "window",
      granted,
      slice,
      remaining: Math.max(0, remaining),
      retryMs: granted >= op.need ? 0 : retryAfter(slices, missing, (step) => freeAtMs(step) - nowMs),
      resetMs: slices.size === 0 ? 0 : Math.max(0, freeAtMs(counter.newest) - nowMs),
      tight: isTight(remaining, op, holders),
      epoch,
      recovering,
    };
  }

  addToLedger(holder: string, batches: readonly LedgerBatch[]): void {
    for (const batch of batches) {
      if (batch.seq <= (this.#batches.get(holder) ?? 0)) continue;
      this.#batches.set(holder, batch.seq);
      for (const row of batch.rows) {
        this.#addRow(row);
        this.#journal?.row(row);
      }
    }
    this.#journal?.flush();
  }

  #addRow(row: LedgerRow): void {
    let hour = this.#ledger.get(row.hourMs);
    if (hour === undefined) this.#ledger.set(row.hourMs, (hour = new Map()));
    addRow(hour, rowKey(row), row);
    while (this.#ledger.size > this.ledgerKeptMs / 3_600_000) this.#ledger.delete(Math.min(...this.#ledger.keys()));
  }

  readLedger(fromMs: number, toMs: number): Promise<LedgerRow[]> {
    return Promise.resolve(newerRows(this.#ledger, fromMs, toMs));
  }

  renameInLedger(user: string, namespace: string | null, replacement: string): Promise<number> {
    let changed = 0;
    for (const hour of this.#ledger.values()) {
      for (const [key, row] of [...hour]) {
        const renamed = renamedKey(key, user, namespace, replacement);
        if (renamed === null) continue;
        hour.delete(key);
        addRow(hour, renamed, rowWithKey(row, renamed));
        changed++;
      }
    }
    // Earlier lines of the file still have the name.
    if (changed > 0) this.#journal?.write(this.#image());
    return Promise.resolve(changed);
  }

  readBudget(id: string, periodStartMs: number, subject?: string): Promise<CounterReading[]> {
    const period = budgetPeriod(id, periodStartMs);
    const readings: CounterReading[] = [];
    for (const [key, { used, spent }] of this.#leases) {
      const parts = partsOfBudgetKey(key);
      if (parts?.period === period && (subject ?? parts.subject) === parts.subject)
        readings.push({ subject: parts.subject, used, spent });
    }
    return Promise.resolve(readings);
  }

  #sweep(ops: number): void {
    this.#ops += ops;
    if (this.#ops < sweepEvery) return;
    this.#ops = 0;
    const nowMs = this.#nowMs();
    for (const [key, { expiresAtMs }] of this.#leases)
      if (expiresAtMs !== null && expiresAtMs <= nowMs) this.#leases.delete(key);
    for (const [key, { windowMs, newest }] of this.#windows)
      if ((newest + 2) * sliceMsOf(windowMs) + 2 * windowMs + 1_000 < nowMs) this.#windows.delete(key);
  }

  #image(): Parameters<Journal["write"]>[0] {
    const nowMs = this.#nowMs();
    const counters = [...this.#leases]
      .filter(([key, one]) => partsOfBudgetKey(key) !== null && (one.expiresAtMs === null || one.expiresAtMs > nowMs))
      .map(([key, { used, spent, expiresAtMs }]) => ({ key, used, spent, expiresAtMs }));
    return { counters, rows: newerRows(this.#ledger, 0, Number.MAX_SAFE_INTEGER) };
  }

  close(): Promise<void> {
    this.#journal?.close(() => this.#image());
    return Promise.resolve();
  }
}

const newHolding = (seenMs: number): Holding => ({
  seq: 0,
  granted: 0,
  returned: 0,
  spent: 0,
  seenMs,
  inUse: null,
  presumed: null,
});

/** Charges what a dead holder had in use, and frees the rest of its lease. */
function presumeDead(counter: LeaseCounter, holding: Holding): void {
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
function revived(counter: LeaseCounter, holding: Holding, op: LeaseOp): Holding {
  if (holding.presumed === null) return holding;
  // A grant whose answer was lost is not part of the lease anymore.
  counter.used += op.granted - holding.granted;
  holding.granted = op.granted;
  counter.spent -= holding.presumed;
  holding.spent -= holding.presumed;
  holding.presumed = null;
  return holding;
}

/** Units in all live slices, less what was given back. */
function totalOf(
  slices: Map<number, number>,
  returns: WindowOp["returns"],
  isOver: (slice: number) => boolean,
): number {
  for (const [slice, amount] of returns) {
    const had = slices.get(slice);
    if (had !== undefined) slices.set(slice, Math.max(0, had - amount));
  }
  let total = 0;
  for (const [slice, count] of slices) {
    if (isOver(slice) || count === 0) slices.delete(slice);
    else total += count;
  }
  return total;
}

/** Time until the oldest slices that hold `missing` units expire. */
function retryAfter(slices: ReadonlyMap<number, number>, missing: number, freeInMs: (slice: number) => number): number {
  let freed = 0;
  for (const slice of [...slices.keys()].sort((a, b) => a - b)) {
    freed += slices.get(slice) ?? 0;
    if (freed >= missing) return Math.max(1, freeInMs(slice));
  }
  return slices.size === 0 ? 1 : Math.max(1, freeInMs(Math.max(...slices.keys())));
}
