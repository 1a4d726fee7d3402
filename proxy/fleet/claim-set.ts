/**
 * The claims of one call, each with the slice that it draws on: either all are taken or none. Decides only from what
 * this proxy holds and never contacts the store. No I/O, no timers.
 */
import type { Holdings } from "./holdings.ts";
import { type CounterSpec, type Lots, noLots, type Slice } from "./slice.ts";
import type { Growth } from "./store.ts";

export interface Claim {
  counter: CounterSpec;
  /** The most that the call may use. */
  amount: number;
}

export interface Refused {
  refused: CounterSpec;
  /** "unavailable": the store can't be reached, and the counter may not continue without it. */
  why: "limit" | "unavailable";
  /** null if the wait is unknown. */
  retryAfterMs: number | null;
}

const nothing: readonly Lots[] = [];

export class ClaimSet {
  readonly #claims: readonly Claim[];
  readonly #slices: readonly Slice[];
  /** What was taken from each slice; empty unless all claims were taken. */
  #taken: readonly Lots[] = nothing;

  constructor(claims: readonly Claim[], holdings: Holdings) {
    this.#claims = claims;
    // Here and below without closures, as every call passes through.
    const slices = new Array<Slice>(claims.length);
    for (let index = 0; index < slices.length; index++) slices[index] = holdings.of((claims[index] as Claim).counter);
    this.#slices = slices;
  }

  #amount(index: number): number {
    return this.#claims[index]?.amount ?? 0;
  }

  #refusedBy(index: number): Refused {
    const { counter } = this.#claims[index] as Claim;
    const slice = this.#slices[index];
    return { refused: counter, why: slice?.recovering ? "unavailable" : "limit", retryAfterMs: slice?.retryMs ?? null };
  }

  /** Takes all claims if this proxy holds enough for each; otherwise takes nothing and returns false. */
  take(nowMs: number): boolean {
    const slices = this.#slices;
    for (let index = 0; index < slices.length; index++)
      if (slices[index]?.canTake(this.#amount(index), nowMs) === false) return false;
    const taken = new Array<Lots>(slices.length);
    for (let index = 0; index < slices.length; index++)
      taken[index] = (slices[index] as Slice).take(this.#amount(index), nowMs);
    this.#taken = taken;
    return true;
  }

  /**
   * For use while the store can't be reached: also takes amounts that this proxy doesn't hold, within its part of each
   * limit. Returns null if everything was taken. `retryAfterMs`: the wait to report for a counter that may not continue
   * without the store.
   */
  takeAlone(nowMs: number, retryAfterMs: number): Refused | null {
    const short = this.#slices.map((slice, index) => !slice.canTake(this.#amount(index), nowMs));
    const refusedBy = (index: number, why: Refused["why"]): Refused => ({
      refused: (this.#claims[index] as Claim).counter,
      why,
      retryAfterMs,
    });
    for (const [index, slice] of this.#slices.entries())
      if (short[index] && slice.spec.onStateLoss !== "allow") return refusedBy(index, "unavailable");
    for (const [index, slice] of this.#slices.entries())
      if (short[index] && !slice.hasRoomAlone(this.#amount(index), nowMs)) return refusedBy(index, "limit");
    this.#taken = this.#slices.map((slice, index) =>
      short[index] ? slice.takeBeyond(this.#amount(index), nowMs) : slice.take(this.#amount(index), nowMs),
    );
    return null;
  }

  /**
   * Charges the amounts really used, one for each claim, and gives back the rest. Returns how many claims used more
   * than they reserved. Later calls do nothing.
   */
  charge(actual: readonly number[]): number {
    let overruns = 0;
    for (let index = 0; index < this.#taken.length; index++) {
      const slice = this.#slices[index] as Slice;
      const amount = this.#amount(index);
      const used = actual[index] ?? amount;
      if (used > amount && slice.spec.limit !== null) overruns++;
      slice.settle(amount, this.#taken[index] ?? noLots, used);
    }
    this.#taken = nothing;
    return overruns;
  }

  /** Whether a slice has something to report to the store or to fetch from it. */
  get due(): boolean {
    const slices = this.#slices;
    for (let index = 0; index < slices.length; index++) if (slices[index]?.due) return true;
    return false;
  }

  /** What has grown beyond what the store knows to be in use; null if nothing has. */
  grown(): Growth[] | null {
    let grown: Growth[] | null = null;
    const slices = this.#slices;
    for (let index = 0; index < slices.length; index++) {
      const growth = (slices[index] as Slice).growth();
      if (growth !== null) (grown ??= []).push(growth);
    }
    return grown;
  }

  /** Refuses for a counter that the store refused a moment ago; null if there is no such counter. */
  believed(nowMs: number): Refused | null {
    for (let index = 0; index < this.#slices.length; index++)
      if (this.#slices[index]?.refuses(this.#amount(index), nowMs)) return this.#refusedBy(index);
    return null;
  }

  /** Refuses for the first counter that is short. */
  shortfall(nowMs: number): Refused {
    return this.#refusedBy(
      Math.max(
        0,
        this.#slices.findIndex((slice, index) => !slice.canTake(this.#amount(index), nowMs)),
      ),
    );
  }

  /** Whether every short counter is short only because of others' reservations, which they may not use in full. */
  contended(nowMs: number): boolean {
    return this.#slices.every(
      (slice, index) => slice.canTake(this.#amount(index), nowMs) || slice.contended(this.#amount(index)),
    );
  }

  /**
   * Requests every claim with the next call to the store, even those that seem covered, since other calls wait for the
   * same slices.
   */
  want(nowMs: number): void {
    for (const [index, slice] of this.#slices.entries()) {
      if (slice.spec.limit === null) continue;
      const amount = this.#amount(index);
      slice.lastUseMs = nowMs;
      slice.least = slice.need === 0 ? amount : Math.min(slice.least, amount);
      slice.need += amount;
    }
  }
}
