/**
 * The part of one counter that one proxy holds and spends without asking the store. This class has what both kinds of
 * slice share: how much to hold at the current rate of use, and how long to trust a refusal. No I/O, no timers;
 * `Exchange` has those.
 */
import { type Growth, type StoreOp, type StoreReply, windowLifeMs } from "./store.ts";

/** A counter as configured. */
export interface CounterSpec {
  key: string;
  kind: "period" | "held" | "window";
  /** null if it is only counted. */
  limit: number | null;
  /** For `window` only. */
  windowMs: number;
  /** For `period` only: spending from before the store knew the counter. */
  seed: number;
  expiresAtMs: number | null;
  /** Whether calls continue while the store can't be reached. */
  onStateLoss: "allow" | "deny";
}

/** The window slices that the units of one call came from: number and amount alternately. */
export type Lots = readonly number[];

export interface Reading {
  limit: number;
  remaining: number;
  /** Time until the whole limit is free again, in milliseconds. */
  resetMs: number;
}

export const noLots: Lots = [];

/** How far ahead a lease reaches, in milliseconds of spending at the current rate. */
const leaseAheadMs = 500;
/** An unused lease goes back after this time, in milliseconds. */
const idleMs = 2_000;
/** How long a refusal by the store is trusted without asking again, in milliseconds. */
const believedMs = 100;

export abstract class Slice {
  spec: CounterSpec;
  /** Unique among the slices of this process. */
  life = 0;
  /** Units that waiting calls need. */
  need = 0;
  least = 0;
  /** Whether the next sync has something to do besides `need`. */
  due = false;
  lastUseMs: number;
  tight = false;
  /** The store has just started a new epoch and grants nothing yet. */
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

  /** Returns the amount in use if the store must learn it before the call is made, otherwise null. */
  growth(): Growth | null {
    return null;
  }

  abstract available(nowMs: number): number;
  abstract take(amount: number, nowMs: number): Lots;
  /** `amount` and `lots`: as taken. */
  abstract settle(amount: number, lots: Lots, actual: number): void;
  abstract op(nowMs: number): StoreOp;
  abstract apply(op: StoreOp, reply: StoreReply, sentMs: number, nowMs: number): void;
  abstract failed(op: StoreOp): void;
  abstract reading(nowMs: number): Reading;
  /** Sets `due` if there is something to report to the store or to fetch. */
  abstract review(nowMs: number): void;
  /** Whether nothing is left to report or give back, nor worth remembering. `crowded`: too many slices are held. */
  abstract done(nowMs: number, crowded: boolean): boolean;
  /** Gives back everything that calls don't hold. */
  abstract giveBack(): void;

  canTake(amount: number, nowMs: number): boolean {
    return this.available(nowMs) >= amount;
  }

  /** Whether this proxy may take `amount` more without the store. */
  abstract hasRoomAlone(amount: number, nowMs: number): boolean;

  /** Takes without a lease, while the store can't be reached. */
  takeBeyond(amount: number, nowMs: number): Lots {
    return this.take(amount, nowMs);
  }

  /** Whether the store said a moment ago that it doesn't have this much. */
  refuses(amount: number, nowMs: number): boolean {
    return nowMs < this.refusedUntilMs && amount > this.refusedAbove + Math.max(0, this.available(nowMs));
  }

  /** Whether others hold the missing units and may not need them. */
  contended(_amount: number): boolean {
    return false;
  }

  protected note(amount: number, nowMs: number): void {
    this.lastUseMs = nowMs;
    this.#taken += amount;
    this.#largest = Math.max(amount, this.#largest * 0.99);
  }

  /** Below this, the next slice is fetched. */
  protected low = 0;

  /** What calls take in `ms` milliseconds at the current rate. */
  protected usual(ms: number): number {
    return Math.ceil(this.#ratePerMs * ms);
  }

  /** How much to hold so that calls needn't wait. */
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
