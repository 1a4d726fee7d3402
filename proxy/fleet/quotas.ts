/**
 * Reservations under any number of limits at once, all or nothing. Most are made from what this proxy has leased, without
 * a round trip; the store is asked in the background before a lease runs out, and by a waiting call only near a limit.
 */
import type { Clock } from "../clock.ts";
import { type Claim, ClaimSet, type Refused } from "./claim-set.ts";
import { Exchange, type ExchangeFigures, openForMs, patience } from "./exchange.ts";
import { Holdings } from "./holdings.ts";
import { LeaseSlice } from "./lease-slice.ts";
import { Refusals } from "./refusals.ts";
import type { CounterSpec, Reading } from "./slice.ts";
import type { FleetStore } from "./store.ts";

export interface Reservation {
  /** Takes what was really used, one figure a claim, and gives back the rest. Only the first time counts. */
  settle(actual: readonly number[]): void;
}

export interface QuotaOptions {
  /** How long a call waits for the store, in milliseconds. */
  deadlineMs?: number;
  /** How long a call waits for others to settle where only what they have reserved, and may not spend, is in its way. */
  contentionMs?: number;
  onTrouble?(cause: unknown): void;
}

export interface QuotaFigures extends ExchangeFigures {
  /** Calls that had to wait for the store. */
  waits: number;
  /** Amounts settled beyond what was reserved. */
  overruns: number;
}

const contentionStepMs = 20;
const attempts = 4;

export class Quotas {
  readonly #clock: Clock;
  readonly #contentionMs: number;
  readonly #holdings: Holdings;
  readonly #exchange: Exchange;
  readonly figures: QuotaFigures = { roundTrips: 0, waits: 0, failures: 0, overruns: 0 };
  /** By budgets. */
  readonly refusals = new Refusals();

  constructor(store: FleetStore, holder: string, clock: Clock, options: QuotaOptions = {}) {
    const { deadlineMs = 50, contentionMs = 1_000, onTrouble = () => undefined } = options;
    this.#clock = clock;
    this.#contentionMs = contentionMs;
    this.#holdings = new Holdings(clock.nowMs);
    this.#exchange = new Exchange(store, holder, clock, this.#holdings, { deadlineMs, onTrouble }, this.figures);
  }

  /** The store can't be reached; limits are kept by each proxy for itself. */
  get broken(): boolean {
    return this.#exchange.broken;
  }

  reading(spec: CounterSpec): Reading {
    return this.#holdings.of(spec).reading(this.#clock.nowMs());
  }

  /** Spent under a period's counter in the whole fleet, as far as is known here. */
  spent(spec: CounterSpec): number {
    const slice = this.#holdings.of(spec);
    return slice instanceof LeaseSlice ? Math.max(spec.seed, slice.known()) : 0;
  }

  /** All of the claims or none. At once where what is leased suffices, or where the store is in this process. */
  reserve(claims: readonly Claim[]): Reservation | Refused | Promise<Reservation | Refused> {
    const set = new ClaimSet(claims, this.#holdings);
    const nowMs = this.#clock.nowMs();
    if (set.take(nowMs)) return this.#reserved(set);
    const refused = set.believed(nowMs);
    if (refused !== null && !set.contended(nowMs)) return refused;
    if (this.broken) return this.#withoutStore(set);
    set.want(nowMs);
    const round = this.#exchange.ask();
    const askedMs = this.#clock.nowMs();
    if (set.take(askedMs)) return this.#reserved(set);
    if (round === null && !set.contended(askedMs)) return set.shortfall(askedMs);
    this.figures.waits++;
    return this.#wait(set, round);
  }

  #reserved(set: ClaimSet): Reservation {
    if (set.due) this.#exchange.flushSoon();
    return {
      settle: (actual) => {
        this.figures.overruns += set.settle(actual);
        if (set.due) this.#exchange.flushSoon();
      },
    };
  }

  async #wait(set: ClaimSet, first: Promise<void> | null): Promise<Reservation | Refused> {
    const endMs = this.#clock.nowMs() + this.#contentionMs;
    let round = first;
    for (let attempt = 1; ; attempt++) {
      const end = await this.#answered(set, round);
      if (end !== null) return end;
      const nowMs = this.#clock.nowMs();
      const tried = attempt >= attempts && nowMs >= endMs;
      const no = set.believed(nowMs) ?? (tried ? set.shortfall(nowMs) : null);
      const freed = no === null ? null : await this.#unlessFreed(no, set, endMs);
      if (freed !== null) return freed;
      set.want(this.#clock.nowMs());
      round = this.#exchange.ask();
    }
  }

  /** What the store's answer, or its silence, comes to; null: what it granted is gone already, or was too little. */
  async #answered(set: ClaimSet, round: Promise<void> | null): Promise<Reservation | Refused | null> {
    // Answered at once, and not enough: others are let go on before it is asked again.
    if (round === null) await this.#step();
    if (round !== null) await this.#exchange.isLate(round, patience);
    if (set.take(this.#clock.nowMs())) return this.#reserved(set);
    // A store that is only late goes on granting to others: without it is for when it is lost.
    return this.broken ? this.#withoutStore(set) : null;
  }

  /** The refusal, or what came of waiting for others to settle; null: ask again. */
  async #unlessFreed(no: Refused, set: ClaimSet, endMs: number): Promise<Reservation | Refused | null> {
    const nowMs = this.#clock.nowMs();
    if (!set.contended(nowMs) || nowMs >= endMs) return no;
    await this.#step();
    if (set.take(this.#clock.nowMs())) return this.#reserved(set);
    return this.broken ? this.#withoutStore(set) : null;
  }

  #step(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(contentionStepMs, resolve));
  }

  /** What is leased may be spent; limits that allow it are kept locally, each proxy its part. */
  #withoutStore(set: ClaimSet): Reservation | Refused {
    const refused = set.takeAlone(this.#clock.nowMs(), openForMs);
    return refused ?? this.#reserved(set);
  }

  /** Gives back all that is leased. */
  close(): Promise<void> {
    return this.#exchange.close();
  }
}
