/**
 * What one proxy holds of one counter, and spends without asking anybody: what both kinds of slice have in common, which
 * is how much to hold at the present pace and how long a refusal is believed. No I/O and no timers; `Exchange` has those.
 */
import { type StoreOp, type StoreReply, windowLifeMs } from "./store.ts";

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
/** After the store said no, how long that is believed without asking again, in milliseconds. */
const believedMs = 100;

export abstract class Slice {
  spec: CounterSpec;
  /** Of no other slice of this process. */
  life = 0;
  /** Wanted by calls that wait. */
  need = 0;
  least = 0;
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
  abstract settle(taken: Taken, actual: number): void;
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

  /** Without the store, this proxy may take so much more. */
  abstract hasRoomAlone(amount: number, nowMs: number): boolean;

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
