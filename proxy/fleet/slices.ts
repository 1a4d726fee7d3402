/** What one proxy holds of one counter: spent here without asking anybody. No I/O and no timers; `Quotas` has those. */
import { heldTtlMs, type LeaseOp, type StoreOp, type StoreReply, type WindowOp, windowLifeMs } from "./store.ts";

/** A counter as configuration has it. */
export interface CounterSpec {
  key: string;
  kind: "period" | "held" | "window";
  /** null: it is only counted. */
  limit: number | null;
  /** Of a `window` only. */
  windowMs: number;
  /** Of a `period` only: what had been spent before the store knew of it. */
  seed: number;
  expiresAtMs: number | null;
  /** Whether calls go on where the store can't be asked. */
  onStateLoss: "allow" | "deny";
}

/** Takings of one call from one counter, to be settled. */
export interface Taken {
  amount: number;
  /** Where in a window the units came from. */
  lots: [slice: number, amount: number][];
}

export interface Reading {
  limit: number;
  remaining: number;
  /** Until everything is free again, in milliseconds. */
  resetMs: number;
}

/** How far ahead a lease reaches, in milliseconds of spending at the present pace. */
const leaseAheadMs = 500;
/** A lease that nobody spends from goes back after this time, in milliseconds. */
const idleMs = 2_000;
/** What is known of a budget is kept this long after its last use, in milliseconds. */
const rememberedMs = 600_000;
/** After the store said no, how long that is believed without asking again, in milliseconds. */
const believedMs = 100;

export abstract class Slice {
  spec: CounterSpec;
  /** Of no other slice of this process. */
  life = 0;
  /** Wanted by calls that wait. */
  need = 0;
  least = 0;
  inFlight = false;
  /** What the next sync is for, besides need. */
  due = false;
  lastUseMs: number;
  tight = false;
  /** The store has just begun anew, and grants nothing yet. */
  recovering = false;
  #taken = 0;
  #ratePerMs = 0;
  #ratedMs: number;
  #largest = 0;
  protected refusedUntilMs = 0;
  protected refusedAbove = 0;
  retryMs = 0;

  constructor(spec: CounterSpec, nowMs: number) {
    this.spec = spec;
    this.lastUseMs = nowMs;
    this.#ratedMs = nowMs;
  }

  abstract available(nowMs: number): number;
  abstract take(amount: number, nowMs: number): Taken;
  abstract settle(taken: Taken, actual: number, nowMs: number): void;
  abstract op(nowMs: number): StoreOp;
  abstract apply(op: StoreOp, reply: StoreReply, sentMs: number, nowMs: number): void;
  abstract failed(op: StoreOp): void;
  abstract reading(nowMs: number): Reading;
  /** Looks whether there is something to tell the store, or to fetch. */
  abstract review(nowMs: number): void;
  /** Nothing is left to be told or given back, nor worth remembering; `crowded`: there are too many. */
  abstract done(nowMs: number, crowded: boolean): boolean;
  /** Gives back what calls don't hold. */
  abstract giveBack(): void;

  canTake(amount: number, nowMs: number): boolean {
    return this.available(nowMs) >= amount;
  }

  /** Takes without a lease, while the store can't be asked. */
  takeBeyond(amount: number, nowMs: number): Taken {
    return this.take(amount, nowMs);
  }

  /** The store was asked a moment ago and has not got as much. */
  refuses(amount: number, nowMs: number): boolean {
    return nowMs < this.refusedUntilMs && amount > this.refusedAbove + Math.max(0, this.available(nowMs));
  }

  /** Others hold what is missing, and may not need it. */
  contended(_amount: number): boolean {
    return false;
  }

  protected note(amount: number, nowMs: number): void {
    this.lastUseMs = nowMs;
    this.#taken += amount;
    this.#largest = Math.max(amount, this.#largest * 0.99);
  }

  /** With less than this the next slice is fetched. */
  protected low = 0;

  /** What to hold so that calls needn't wait. */
  protected target(nowMs: number): number {
    const target = this.#target(nowMs);
    this.low = target / 3;
    return target;
  }

  #target(nowMs: number): number {
    const passed = nowMs - this.#ratedMs;
    if (passed >= 200) {
      const now = this.#taken / passed;
      this.#ratePerMs = now > this.#ratePerMs ? now : this.#ratePerMs * 0.7 + now * 0.3;
      this.#taken = 0;
      this.#ratedMs = nowMs;
    }
    const ahead = this.spec.kind === "window" ? Math.min(leaseAheadMs, windowLifeMs(this.spec.windowMs)) : leaseAheadMs;
    return Math.ceil(Math.max(this.#ratePerMs * ahead, Math.min(this.#taken, this.#largest * 8), this.#largest * 2));
  }

  protected refusal(granted: number, need: number, remaining: number, nowMs: number): void {
    if (granted >= need) this.refusedUntilMs = 0;
    else {
      this.refusedUntilMs = nowMs + believedMs;
      this.refusedAbove = Math.max(0, remaining);
    }
  }

  protected idle(nowMs: number): boolean {
    return nowMs - this.lastUseMs >= idleMs;
  }
}

/** Of a period's sum, or of a number of calls at once. */
export class LeaseSlice extends Slice {
  #epoch = "";
  #seq = 0;
  #granted = 0;
  #returned = 0;
  #spent = 0;
  /** What the store is known to have heard. */
  #toldReturned = 0;
  #toldSpent = 0;
  #sent = { returned: 0, spent: 0 };
  /** Below zero: spent beyond the lease, to be told as a debt. */
  #available = 0;
  #reserved = 0;
  #seenUsed = 0;
  #seenSpent = 0;
  #seenVersion = 0;
  #heardMs: number;

  constructor(spec: CounterSpec, nowMs: number) {
    super(spec, nowMs);
    this.#heardMs = nowMs;
  }

  available(nowMs: number): number {
    if (this.spec.limit === null) return Number.MAX_SAFE_INTEGER;
    // The store takes a silent holder for dead, and what it held for free.
    if (this.spec.kind === "held" && this.#available > 0 && nowMs - this.#heardMs > heldTtlMs) this.giveBack();
    return this.#available;
  }

  take(amount: number, nowMs: number): Taken {
    this.note(amount, nowMs);
    this.#reserved += amount;
    if (this.spec.limit !== null) this.#available -= amount;
    if (this.spec.limit !== null && this.#available < Math.max(amount, this.low) && !this.tight) this.due = true;
    return { amount, lots: [] };
  }

  settle(taken: Taken, actual: number): void {
    this.#reserved -= taken.amount;
    this.#spent += actual;
    this.#available += (this.spec.limit === null ? 0 : taken.amount) - actual;
    if (this.tight || this.#available < 0) this.due = true;
  }

  op(nowMs: number): LeaseOp {
    const { spec } = this;
    this.due = false;
    // Near the limit, and when idle, what no call waits for goes back.
    if (this.#available > 0 && this.need === 0 && (this.tight || this.idle(nowMs))) this.giveBack();
    const need = Math.max(0, this.need - Math.max(0, this.#available));
    const want = spec.limit === null || this.idle(nowMs) ? 0 : Math.max(0, this.target(nowMs) - Math.max(0, this.#available));
    this.#sent = { returned: this.#returned, spent: this.#spent };
    return {
      kind: spec.kind === "held" ? "held" : "period",
      key: spec.key,
      limit: spec.limit,
      seed: spec.seed,
      expiresAtMs: spec.expiresAtMs,
      life: this.life,
      epoch: this.#epoch,
      seq: ++this.#seq,
      granted: this.#granted,
      returned: this.#returned,
      spent: this.#spent,
      seenUsed: this.#seenUsed,
      seenSpent: this.#seenSpent,
      seenVersion: this.#seenVersion,
      need,
      least: Math.min(need, Math.max(1, this.least - Math.max(0, this.#available))),
      want: this.tight ? 0 : want,
      debt: Math.max(0, -this.#available),
    };
  }

  apply(op: StoreOp, reply: StoreReply, sentMs: number, nowMs: number): void {
    if (reply.kind !== "lease" || op.kind === "window") return;
    if (reply.epoch === this.#epoch || this.#epoch === "") {
      // A first entry told nothing but its debt: sums begin with it.
      if (this.#epoch !== "") {
        this.#toldReturned = this.#sent.returned;
        this.#toldSpent = this.#sent.spent;
      }
    } else this.#moved();
    this.#epoch = reply.epoch;
    const granted = reply.granted - this.#granted;
    this.#available += granted;
    this.#granted = reply.granted;
    this.#seenUsed = reply.used;
    this.#seenSpent = reply.spent;
    this.#seenVersion = reply.version;
    this.recovering = reply.recovering;
    this.#heardMs = sentMs;
    this.tight = reply.tight;
    const remaining = this.spec.limit === null ? Number.MAX_SAFE_INTEGER : this.spec.limit - reply.used;
    this.refusal(granted - op.debt, op.need, reply.recovering ? 0 : remaining, nowMs);
    this.retryMs = reply.recovering || this.spec.kind === "held" ? 1_000 : 0;
    if (this.#spent > this.#toldSpent && this.tight) this.due = true;
  }

  /** The store began anew: what it had heard of is in what it began with, the rest is to be told again. */
  #moved(): void {
    this.#returned -= this.#toldReturned;
    this.#spent -= this.#toldSpent;
    this.#toldReturned = 0;
    this.#toldSpent = 0;
    this.#granted = 0;
    // Calls at once are counted anew: those under way are told as a debt.
    if (this.spec.kind !== "held") return;
    this.#returned = 0;
    this.#available = -this.#reserved;
    this.due = true;
  }

  failed(): void {
    this.due = true;
  }

  override contended(amount: number): boolean {
    return this.spec.kind === "period" && this.spec.limit !== null && this.spec.limit - this.#seenSpent - (this.#spent - this.#toldSpent) >= amount;
  }

  reading(): Reading {
    const limit = this.spec.limit ?? Number.MAX_SAFE_INTEGER;
    return { limit, remaining: Math.max(0, limit - this.#seenUsed + Math.max(0, this.#available)), resetMs: 0 };
  }

  /** Held by calls under way. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Spent in the whole fleet as far as is known here. */
  known(): number {
    return this.#seenSpent + this.#spent - this.#toldSpent;
  }

  review(nowMs: number): void {
    const unheard = this.#spent > this.#toldSpent || this.#returned > this.#toldReturned || this.#available < 0;
    const idle = this.#available > 0 && this.idle(nowMs);
    const low = this.spec.limit !== null && !this.tight && !this.idle(nowMs) && this.#available < this.target(nowMs) / 2;
    const beats = this.spec.kind === "held" && this.#granted > this.#returned && nowMs - this.#heardMs > heldTtlMs / 5;
    if (unheard || idle || low || beats || (this.tight && this.#available > 0)) this.due = true;
  }

  done(nowMs: number, crowded: boolean): boolean {
    // Should the store forget a budget, somebody has to know what was spent.
    if (this.spec.kind === "period" && !crowded && nowMs - this.lastUseMs < rememberedMs) return false;
    const told = this.#spent === this.#toldSpent && this.#returned === this.#toldReturned;
    return told && this.#available === 0 && this.#reserved === 0 && this.need === 0 && !this.inFlight && this.idle(nowMs);
  }

  giveBack(): void {
    if (this.#available <= 0) return;
    this.#returned += this.#available;
    this.#available = 0;
    this.due = true;
  }
}

interface Lot {
  slice: number;
  amount: number;
  untilMs: number;
}

/** Of a number of units in any span of time. Units that are not used soon go back, or the span would be overdrawn later. */
export class WindowSlice extends Slice {
  readonly #lots: Lot[] = [];
  readonly #returns = new Map<number, number>();
  #debt = 0;
  #underWay = 0;
  #remaining: number;
  #resetAtMs = 0;

  constructor(spec: CounterSpec, nowMs: number) {
    super(spec, nowMs);
    this.#remaining = spec.limit ?? 0;
  }

  available(nowMs: number): number {
    let sum = 0;
    for (let lot = this.#lots[0]; lot !== undefined && lot.untilMs <= nowMs; lot = this.#lots[0]) {
      this.#giveBackLot(lot.slice, lot.amount);
      this.#lots.shift();
    }
    for (const lot of this.#lots) sum += lot.amount;
    return sum;
  }

  /** What will still be of use in a moment. */
  #fresh(nowMs: number): number {
    let sum = 0;
    for (const lot of this.#lots) if (lot.untilMs - nowMs > windowLifeMs(this.spec.windowMs) / 4) sum += lot.amount;
    return sum;
  }

  #giveBackLot(slice: number, amount: number): void {
    if (amount > 0) this.#returns.set(slice, (this.#returns.get(slice) ?? 0) + amount);
  }

  take(amount: number, nowMs: number): Taken {
    this.note(amount, nowMs);
    this.#underWay++;
    const lots: Taken["lots"] = [];
    let missing = amount;
    while (missing > 0) {
      const lot = this.#lots[0];
      if (lot === undefined) break;
      const part = Math.min(missing, lot.amount);
      lots.push([lot.slice, part]);
      lot.amount -= part;
      missing -= part;
      if (lot.amount === 0) this.#lots.shift();
    }
    this.#debt += missing;
    if (!this.tight && this.#fresh(nowMs) < Math.max(amount, this.low)) this.due = true;
    return { amount, lots };
  }

  settle(taken: Taken, actual: number): void {
    this.#underWay--;
    let back = taken.amount - actual;
    if (back < 0) this.#debt -= back;
    for (const [slice, amount] of taken.lots) {
      if (back <= 0) break;
      const part = Math.min(back, amount);
      this.#giveBackLot(slice, part);
      back -= part;
    }
  }

  /** Told to nobody: by the time that the store is back, the span is over. */
  override takeBeyond(amount: number, nowMs: number): Taken {
    this.note(amount, nowMs);
    this.#underWay++;
    return { amount, lots: [] };
  }

  op(nowMs: number): WindowOp {
    this.due = false;
    const available = this.available(nowMs);
    const need = Math.max(0, this.need - available);
    const want = this.tight || this.idle(nowMs) ? 0 : Math.max(0, this.target(nowMs) - this.#fresh(nowMs));
    const op: WindowOp = {
      kind: "window",
      key: this.spec.key,
      limit: this.spec.limit ?? Number.MAX_SAFE_INTEGER,
      windowMs: this.spec.windowMs,
      need,
      least: Math.min(need, Math.max(1, this.least - available)),
      want,
      debt: this.#debt,
      returns: [...this.#returns],
    };
    this.#returns.clear();
    this.#debt = 0;
    return op;
  }

  apply(op: StoreOp, reply: StoreReply, sentMs: number, nowMs: number): void {
    if (reply.kind !== "window" || op.kind !== "window") return;
    if (reply.granted > 0) this.#lots.push({ slice: reply.slice, amount: reply.granted, untilMs: sentMs + windowLifeMs(this.spec.windowMs) });
    this.#remaining = reply.remaining;
    this.#resetAtMs = nowMs + reply.resetMs;
    this.retryMs = reply.retryMs;
    this.tight = reply.tight;
    this.refusal(reply.granted, op.need, reply.remaining, nowMs);
  }

  /** What was given back is lost to the window, which heals as it moves on. */
  failed(op: StoreOp): void {
    if (op.kind === "window") this.#debt += op.debt;
  }

  reading(nowMs: number): Reading {
    const limit = this.spec.limit ?? 0;
    return { limit, remaining: Math.min(limit, this.#remaining + this.available(nowMs)), resetMs: Math.max(0, this.#resetAtMs - nowMs) };
  }

  review(nowMs: number): void {
    const low = !this.tight && !this.idle(nowMs) && this.available(nowMs) < this.target(nowMs) / 2;
    if (low || this.#returns.size > 0 || this.#debt > 0 || (this.idle(nowMs) && this.available(nowMs) > 0)) this.due = true;
    if (this.idle(nowMs)) this.giveBack();
  }

  done(nowMs: number): boolean {
    return (
      this.#underWay === 0 &&
      this.idle(nowMs) &&
      this.available(nowMs) === 0 &&
      this.#returns.size === 0 &&
      this.#debt === 0 &&
      this.need === 0 &&
      !this.inFlight
    );
  }

  giveBack(): void {
    for (const lot of this.#lots.splice(0)) this.#giveBackLot(lot.slice, lot.amount);
    if (this.#returns.size > 0) this.due = true;
  }
}

export const sliceOf = (spec: CounterSpec, nowMs: number): Slice => (spec.kind === "window" ? new WindowSlice(spec, nowMs) : new LeaseSlice(spec, nowMs));
