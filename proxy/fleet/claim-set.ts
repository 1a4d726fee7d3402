/**
 * The claims of one call, each with the slice that it is taken from: all are taken, or none. It tells what is known of
 * them here, and asks nobody. No I/O and no timers.
 */
import type { Holdings } from "./holdings.ts";
import type { CounterSpec, Slice, Taken } from "./slice.ts";

export interface Claim {
  counter: CounterSpec;
  /** The most that the call may take of it. */
  amount: number;
}

export interface Refused {
  refused: CounterSpec;
  /** "unavailable": the store can't be asked and the counter may not go on without. */
  why: "limit" | "unavailable";
  /** null: nothing is known of when. */
  retryAfterMs: number | null;
}

const nothing: readonly Taken[] = [];

export class ClaimSet {
  readonly #claims: readonly Claim[];
  readonly #slices: Slice[] = [];
  #taken: readonly Taken[] = nothing;

  constructor(claims: readonly Claim[], holdings: Holdings) {
    this.#claims = claims;
    for (const { counter } of claims) this.#slices.push(holdings.of(counter));
  }

  #amount(at: number): number {
    return this.#claims[at]?.amount ?? 0;
  }

  #refusedBy(at: number): Refused {
    const { counter } = this.#claims[at] as Claim;
    const slice = this.#slices[at];
    return { refused: counter, why: slice?.recovering ? "unavailable" : "limit", retryAfterMs: slice?.retryMs ?? null };
  }

  /** All of them, where what is held suffices for each; otherwise false, and nothing is taken. */
  take(nowMs: number): boolean {
    for (const [at, slice] of this.#slices.entries()) if (!slice.canTake(this.#amount(at), nowMs)) return false;
    this.#taken = this.#slices.map((slice, at) => slice.take(this.#amount(at), nowMs));
    return true;
  }

  /**
   * Takes also what is not held, while no store can be asked: of limits as far as this proxy's part has room. null: taken.
   * `retryAfterMs`: when to try again where a counter may not go on without the store.
   */
  takeAlone(nowMs: number, retryAfterMs: number): Refused | null {
    const short = this.#slices.map((slice, at) => !slice.canTake(this.#amount(at), nowMs));
    const refusedBy = (at: number, why: Refused["why"]): Refused => ({
      refused: (this.#claims[at] as Claim).counter,
      why,
      retryAfterMs,
    });
    for (const [at, slice] of this.#slices.entries())
      if (short[at] && slice.spec.onStateLoss !== "allow") return refusedBy(at, "unavailable");
    for (const [at, slice] of this.#slices.entries())
      if (short[at] && !slice.hasRoomAlone(this.#amount(at), nowMs)) return refusedBy(at, "limit");
    this.#taken = this.#slices.map((slice, at) =>
      short[at] ? slice.takeBeyond(this.#amount(at), nowMs) : slice.take(this.#amount(at), nowMs),
    );
    return null;
  }

  /** Takes what was really used, one figure a claim, and gives back the rest; how many had used more. Only the first time counts. */
  settle(actual: readonly number[]): number {
    let overruns = 0;
    for (const [at, taken] of this.#taken.entries()) {
      const slice = this.#slices[at] as Slice;
      const used = actual[at] ?? taken.amount;
      if (used > taken.amount && slice.spec.limit !== null) overruns++;
      slice.settle(taken, used);
    }
    this.#taken = nothing;
    return overruns;
  }

  /** A slice has something to tell the store, or to fetch. */
  get due(): boolean {
    for (const slice of this.#slices) if (slice.due) return true;
    return false;
  }

  /** Says no for a counter of which the store has said so a moment ago; null: none. */
  believed(nowMs: number): Refused | null {
    for (const [at, slice] of this.#slices.entries())
      if (slice.refuses(this.#amount(at), nowMs)) return this.#refusedBy(at);
    return null;
  }

  /** Says no for the first counter that is short. */
  shortfall(nowMs: number): Refused {
    return this.#refusedBy(
      Math.max(
        0,
        this.#slices.findIndex((slice, at) => !slice.canTake(this.#amount(at), nowMs)),
      ),
    );
  }

  /** Every counter that is short is so only for what others hold in reserve, and may not need. */
  contended(nowMs: number): boolean {
    return this.#slices.every(
      (slice, at) => slice.canTake(this.#amount(at), nowMs) || slice.contended(this.#amount(at)),
    );
  }

  /** Asks for all of it with the next call to the store: also of what seems to suffice, as others wait for it as well. */
  want(nowMs: number): void {
    for (const [at, slice] of this.#slices.entries()) {
      if (slice.spec.limit === null) continue;
      const amount = this.#amount(at);
      slice.lastUseMs = nowMs;
      slice.least = slice.need === 0 ? amount : Math.min(slice.least, amount);
      slice.need += amount;
    }
  }
}
