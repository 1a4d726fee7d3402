/** Fleet state of one process, in memory. With a journal, spending survives a restart. */
import type { Journal } from "./journal.ts";
import {
  entered,
  type Holding,
  type LeaseCounter,
  newCounter,
  newHolding,
  presumeDead,
  rebase,
  renewed,
  revived,
} from "./lease-holders.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import { MemoryWindows } from "./memory-windows.ts";
import { noteShare, packShares } from "./shares.ts";
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
  usualLedgerMs,
  watchMs,
} from "./store.ts";

/** Counters that only note that something has happened, or when; see `once` and `age`. */
const oncePrefix = "once|";
const agePrefix = "age|";
const isNote = (key: string): boolean => key.startsWith(oncePrefix) || key.startsWith(agePrefix);
/** Expired counters are swept after this many operations. */
const sweepEvery = 4_096;

let stores = 0;

export class MemoryStore implements FleetStore {
  readonly shared = false;
  readonly #nowMs: () => number;
  readonly #journal: Journal | null;
  readonly #leases = new Map<string, LeaseCounter>();
  readonly #windows: MemoryWindows;
  readonly #alive = new Map<string, number>();
  readonly #ledger: MemoryLedger;
  /** Tells apart two stores created by one process in the same millisecond. */
  readonly #store = ++stores;
  #epochs = 0;
  #ops = 0;

  readonly ledgerKeptMs: number;

  constructor(nowMs: () => number, journal: Journal | null = null, ledgerKeptMs = usualLedgerMs) {
    this.#nowMs = nowMs;
    this.ledgerKeptMs = ledgerKeptMs;
    this.#ledger = new MemoryLedger(ledgerKeptMs);
    this.#windows = new MemoryWindows(nowMs, this.#store);
    this.#journal = journal;
    if (journal === null) return;
    for (const { key, used, spent, expiresAtMs } of journal.counters.values()) {
      if (expiresAtMs === null || expiresAtMs > nowMs())
        this.#leases.set(key, { ...this.#newCounter(used, spent), expiresAtMs });
    }
    for (const row of journal.rows) this.#ledger.add(row);
    journal.compact(() => this.#image());
  }

  sync(holder: string, ops: readonly StoreOp[]): StoreReply[] {
    this.#sweep(ops.length);
    const replies = ops.map((op) =>
      op.kind === "window" ? this.#windows.take(op, this.#alive.size) : this.#lease(keeper(holder, op.life), op),
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
    return newCounter(`m${this.#store}.${++this.#epochs}-${nowMs}`, nowMs, used, spent);
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
      made.shares = renewed(op.seenShares, made.bornMs);
    }
    this.#leases.set(op.key, made);
    return made;
  }

  /** Returns the holder's record. A holder from a lost epoch enters with its last view of the whole counter. */
  #enter(counter: LeaseCounter, holder: string, op: LeaseOp): Holding {
    const nowMs = this.#nowMs();
    const money = op.kind === "period";
    if (money && op.epoch !== "" && op.epoch !== counter.epoch && op.seenVersion > counter.base.version) {
      rebase(counter, op, nowMs);
      counter.recoverUntilMs = nowMs + recoveryMs;
    }
    const existing = counter.holders.get(holder);
    if (existing !== undefined) return money || op.epoch === counter.epoch ? revived(counter, existing, op) : existing;
    const made = money ? entered(counter, holder, op, nowMs) : newHolding(nowMs);
    counter.holders.set(holder, made);
    if (money || op.epoch !== counter.epoch) return made;
    // Taken for dead meanwhile, and not.
    counter.used += op.granted - op.returned;
    return Object.assign(made, { granted: op.granted, returned: op.returned, spent: op.spent });
  }

  #lease(holder: string, op: LeaseOp): LeaseReply {
    const nowMs = this.#nowMs();
    const counter = this.#counter(op);
    const own = this.#enter(counter, holder, op);
    own.seenMs = nowMs;
    own.inUse = op.inUse ?? null;
    if (nowMs - counter.lastMs > watchMs) counter.watchedSinceMs = nowMs;
    counter.lastMs = nowMs;
    counter.version++;
    counter.expiresAtMs = op.expiresAtMs;
    if (op.kind === "period" || op.epoch === counter.epoch) {
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
      noteShare(counter.shares, holder, { used: own.granted - own.returned, spent: own.spent, seenMs: nowMs });
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
      shares: packShares(counter.shares),
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
      if (kind === "period") presumeDead(counter, name, holding);
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

  addToLedger(holder: string, batches: readonly LedgerBatch[]): void {
    this.#ledger.addBatches(holder, batches, (row) => this.#journal?.row(row));
    this.#journal?.flush();
  }

  readLedger(fromMs: number, toMs: number): Promise<LedgerRow[]> {
    return Promise.resolve(this.#ledger.read(fromMs, toMs));
  }

  renameInLedger(user: string, namespace: string | null, replacement: string): Promise<number> {
    const changed = this.#ledger.rename(user, namespace, replacement);
    // Earlier lines of the file still have the name.
    if (changed > 0) this.#journal?.write(this.#image());
    return Promise.resolve(changed);
  }

  once(key: string, keptMs: number): boolean {
    const name = `${oncePrefix}${key}`;
    if ((this.#leases.get(name)?.expiresAtMs ?? 0) > this.#nowMs()) return false;
    this.#note(name, 1, this.#nowMs() + keptMs);
    return true;
  }

  age(key: string, knownMs: number, keptMs: number): number {
    this.#sweep(1);
    const name = `${agePrefix}${key}`;
    const nowMs = Math.floor(this.#nowMs());
    const { used, expiresAtMs } = this.#leases.get(name) ?? { used: nowMs, expiresAtMs: null };
    const firstMs = Math.min((expiresAtMs ?? 0) > nowMs ? used : nowMs, nowMs - Math.ceil(knownMs));
    this.#note(name, firstMs, nowMs + keptMs);
    return Math.max(0, nowMs - firstMs);
  }

  #note(key: string, value: number, expiresAtMs: number): void {
    this.#leases.set(key, { ...this.#newCounter(value, value), expiresAtMs });
    this.#journal?.counter({ key, used: value, spent: value, expiresAtMs });
    this.#journal?.flush();
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
    this.#windows.sweep();
  }

  #image(): Parameters<Journal["write"]>[0] {
    const nowMs = this.#nowMs();
    const counters = [...this.#leases]
      .filter(([key]) => partsOfBudgetKey(key) !== null || isNote(key))
      .filter(([, { expiresAtMs }]) => expiresAtMs === null || expiresAtMs > nowMs)
      .map(([key, { used, spent, expiresAtMs }]) => ({ key, used, spent, expiresAtMs }));
    return { counters, rows: this.#ledger.read(0, Number.MAX_SAFE_INTEGER) };
  }

  close(): Promise<void> {
    this.#journal?.close(() => this.#image());
    return Promise.resolve();
  }
}
