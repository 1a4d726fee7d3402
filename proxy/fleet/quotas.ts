/**
 * Reservations under any number of limits at once, all or nothing. Most are served from what this proxy has leased,
 * without a round trip. The store is asked in the background before a lease runs out; only near a limit does a call
 * wait for it.
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
  /** Charges the amounts really used, one for each claim, and gives back the rest. Later calls do nothing. */
  settle(actual: readonly number[]): void;
}

export interface QuotaOptions {
  /** How long a call waits for the store, in milliseconds. */
  deadlineMs?: number;
  /**
   * How long a call waits for others to settle when only their reservations, which they may not use in full, are in its
   * way.
   */
  contentionMs?: number;
  onTrouble?(cause: unknown): void;
}

export interface QuotaFigures extends ExchangeFigures {
  /** Number of calls that waited for the store. */
  waits: number;
  /** Number of amounts settled above their reservation. */
  overruns: number;
}

export const defaultDeadlineMs = 50;
const contentionStepMs = 20;
const attempts = 4;

/** The claims of a call: once all are taken, its reservation. */
class Claims extends ClaimSet implements Reservation {
  readonly #exchange: Exchange;
  readonly #figures: { overruns: number };

  constructor(claims: readonly Claim[], holdings: Holdings, exchange: Exchange, figures: { overruns: number }) {
    super(claims, holdings);
    this.#exchange = exchange;
    this.#figures = figures;
  }

  settle(actual: readonly number[]): void {
    this.#figures.overruns += this.charge(actual);
    if (this.due) this.#exchange.flushSoon();
  }
}

export class Quotas {
  readonly #clock: Clock;
  readonly #contentionMs: number;
  readonly #holdings: Holdings;
  readonly #exchange: Exchange;
  readonly figures: QuotaFigures = { roundTrips: 0, waits: 0, failures: 0, overruns: 0 };
  /** Refusals by budgets. */
  readonly refusals = new Refusals();

  constructor(store: FleetStore, holder: string, clock: Clock, options: QuotaOptions = {}) {
    const { deadlineMs = defaultDeadlineMs, contentionMs = 1_000, onTrouble = () => undefined } = options;
    this.#clock = clock;
    this.#contentionMs = contentionMs;
    this.#holdings = new Holdings(clock.nowMs);
    this.#exchange = new Exchange(store, holder, clock, this.#holdings, { deadlineMs, onTrouble }, this.figures);
  }

  /** Whether the store can't be reached, so that each proxy keeps limits for itself. */
  get broken(): boolean {
    return this.#exchange.broken;
  }

  reading(spec: CounterSpec): Reading {
    return this.#holdings.of(spec).reading(this.#clock.nowMs());
  }

  /** Total spent under a period's counter across the fleet, as far as this proxy knows. */
  spent(spec: CounterSpec): number {
    const slice = this.#holdings.of(spec);
    return slice instanceof LeaseSlice ? Math.max(spec.seed, slice.known()) : 0;
  }

  /** What is counted under a period's counter for proxies that have stopped reporting, and may come back. */
  unaccounted(spec: CounterSpec): number {
    const slice = this.#holdings.of(spec);
    return slice instanceof LeaseSlice ? slice.unaccounted() : 0;
  }

  /**
   * Reserves all claims or none. Answers synchronously if the leased amounts suffice or the store is in this process.
   */
  reserve(claims: readonly Claim[]): Reservation | Refused | Promise<Reservation | Refused> {
    const set = new Claims(claims, this.#holdings, this.#exchange, this.figures);
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

  #reserved(set: Claims): Reservation {
    if (set.due) this.#exchange.flushSoon();
    const grown = set.grown();
    if (grown !== null) this.#exchange.noteInUse(grown);
    return set;
  }

  async #wait(set: Claims, first: Promise<void> | null): Promise<Reservation | Refused> {
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

  /**
   * Decides by the store's answer, or its silence. Returns null if its grant didn't suffice or other calls have used
   * it.
   */
  async #answered(set: Claims, round: Promise<void> | null): Promise<Reservation | Refused | null> {
    // It answered at once and the grant didn't suffice: let other calls run before asking again.
    if (round === null) await this.#step();
    if (round !== null) await this.#exchange.isLate(round, patience);
    if (set.take(this.#clock.nowMs())) return this.#reserved(set);
    // A store that is only late goes on granting to others; do without it only once it is lost.
    return this.broken ? this.#withoutStore(set) : null;
  }

  /** Returns the refusal, or the result of waiting for others to settle; null to ask again. */
  async #unlessFreed(no: Refused, set: Claims, endMs: number): Promise<Reservation | Refused | null> {
    const nowMs = this.#clock.nowMs();
    if (!set.contended(nowMs) || nowMs >= endMs) return no;
    await this.#step();
    if (set.take(this.#clock.nowMs())) return this.#reserved(set);
    return this.broken ? this.#withoutStore(set) : null;
  }

  #step(): Promise<void> {
    return new Promise((resolve) => this.#clock.after(contentionStepMs, resolve));
  }

  /** Spends what is leased. Limits that allow it are kept locally, each proxy within its part. */
  #withoutStore(set: Claims): Reservation | Refused {
    const refused = set.takeAlone(this.#clock.nowMs(), openForMs);
    return refused ?? this.#reserved(set);
  }

  /** Gives back everything leased. */
  close(): Promise<void> {
    return this.#exchange.close();
  }
}
