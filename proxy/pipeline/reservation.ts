/** What a call has reserved of limits and budgets, until it is settled. */
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import type { Quotas, Reservation } from "../fleet/quotas.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Charge } from "./limit-claims.ts";
import type { Admission } from "./proof.ts";

/** A call's reservation. */
interface Reserving {
  /** Targets that the call may be sent to: an exhausted budget can leave fewer than were requested. */
  targets: readonly ResolvedTarget[];
  /**
   * Reserves what one more attempt at a target can cost, in addition to what earlier attempts are charged. Returns
   * false if it doesn't fit, so that the attempt may not be made.
   */
  cover(this: Reserving, target: ResolvedTarget, attempts: readonly AttemptRecord[]): boolean | Promise<boolean>;
  /** Settles the reservation once the call is over. Later calls have no effect. */
  settle(record: CallRecord): void;
}

/** Permission to make the call. */
export type Admitted = Admission<Reserving>;

/** What the stage `admit` returns. */
const admitted = (reserving: Reserving): Admitted => reserving as Admitted;

/** For calls that nothing counts. */
export const unmetered = (targets: readonly ResolvedTarget[]): Admitted =>
  admitted({ targets, cover: () => true, settle: () => undefined });

/** A later reservation for a call, for the charges whose first reservation was too small. */
interface Extension {
  reservation: Reservation;
  charges: readonly Charge[];
  amounts: readonly number[];
}

/** What a call has reserved: at first the cost of its most expensive attempt, and more if another attempt follows. */
class Reserved implements Reserving {
  readonly targets: readonly ResolvedTarget[];
  readonly #charges: readonly Charge[];
  readonly #first: Reservation;
  readonly #quotas: Quotas;
  readonly #extensions: Extension[] = [];

  constructor(targets: readonly ResolvedTarget[], charges: readonly Charge[], first: Reservation, quotas: Quotas) {
    this.targets = targets;
    this.#charges = charges;
    this.#first = first;
    this.#quotas = quotas;
  }

  #reserved(charge: Charge): number {
    let sum = charge.amount;
    for (const { charges, amounts } of this.#extensions) sum += amounts[charges.indexOf(charge)] ?? 0;
    return sum;
  }

  async cover(target: ResolvedTarget, attempts: readonly AttemptRecord[]): Promise<boolean> {
    const short: [charge: Charge, amount: number][] = [];
    for (const charge of this.#charges) {
      const most = charge.attempts?.most(target) ?? 0;
      if (charge.attempts === undefined || most === 0) continue;
      const missing = most + charge.attempts.taken(attempts) - this.#reserved(charge);
      if (missing > 0) short.push([charge, missing]);
    }
    if (short.length === 0) return true;
    const reservation = await this.#quotas.reserve(short.map(([{ counter }, amount]) => ({ counter, amount })));
    if ("refused" in reservation) return false;
    this.#extensions.push({
      reservation,
      charges: short.map(([charge]) => charge),
      amounts: short.map(([, amount]) => amount),
    });
    return true;
  }

  settle(record: CallRecord): void {
    const left = new Array<number>(this.#charges.length);
    for (let index = 0; index < left.length; index++) left[index] = (this.#charges[index] as Charge).actual(record);
    if (this.#extensions.length > 0) this.#settleExtensions(left);
    this.#first.settle(left);
  }

  /** Takes from `left` what was reserved later. */
  #settleExtensions(left: number[]): void {
    for (const { reservation, charges, amounts } of this.#extensions) {
      const used = charges.map((charge, position) => {
        const index = this.#charges.indexOf(charge);
        const part = Math.min(left[index] ?? 0, amounts[position] ?? 0);
        left[index] = (left[index] ?? 0) - part;
        return part;
      });
      reservation.settle(used);
    }
  }
}

export const reservedBy = (
  targets: readonly ResolvedTarget[],
  charges: readonly Charge[],
  first: Reservation,
  quotas: Quotas,
): Admitted => admitted(new Reserved(targets, charges, first, quotas));
