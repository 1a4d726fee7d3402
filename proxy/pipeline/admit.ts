/**
 * Stage: whether the call fits in every rate limit and budget that covers it, all or nothing. It reserves the most that
 * the call can use before any provider is asked, and settles what it did use when the call is over, whatever the
 * outcome. An answer from the cache uses nothing.
 */

import type { CallRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { type Failure, isFailure } from "../failure.ts";
import type { Refused } from "../fleet/claim-set.ts";
import type { Reservation } from "../fleet/quotas.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import { AdmissionSubject } from "./admission-subject.ts";
import type { AdmitRequest, Admitter } from "./admit-request.ts";
import { budgetCharges, recounted } from "./budget-claims.ts";
import type { WorstCost } from "./call-bounds.ts";
import { type Charge, limitCharges } from "./limit-claims.ts";
import { type Admitted, reservedBy, unmetered } from "./reservation.ts";
import { sessionOvertime } from "./session-time.ts";
import { showBudget, showLimits } from "./shown-limits.ts";
import { rejectPricierTier, rejectUncountable, rejectUnreservable, sendCap, worstCost } from "./worst-case.ts";

function outcome(
  request: AdmitRequest,
  charges: readonly Charge[],
  got: Reservation | Refused,
  admitter: Admitter,
): Admitted | Failure | Promise<Admitted | Failure> {
  const { quotas, nowMs } = admitter;
  showLimits(request, charges, quotas, nowMs());
  if (request.snapshot.settings.budgetHeaders) showBudget(request.client, charges);
  return "refused" in got
    ? refused(request, charges, got, admitter)
    : reservedBy(request.targets, charges, got, quotas);
}

function refused(
  request: AdmitRequest,
  charges: readonly Charge[],
  got: Refused,
  admitter: Admitter,
): Failure | Admitted | Promise<Admitted | Failure> {
  const refusing = charges.find((charge) => charge.counter === got.refused) as Charge;
  const { attempts } = refusing;
  const elsewhere = attempts === undefined ? [] : request.targets.filter((target) => attempts.most(target) === 0);
  // A hard budget for one provider, or for paid targets only, leaves the call to the other targets.
  return elsewhere.length > 0 && elsewhere.length < request.targets.length
    ? admit({ ...request, targets: elsewhere }, admitter)
    : refusing.refuse(got);
}

/** Permission for one of the gateway's own calls. */
export interface AdmittedAside {
  /**
   * `counted`: no other upstream call follows, so this one counts in place of the caller's. Money is charged either
   * way.
   */
  settle(record: CallRecord, counted: boolean): void;
}

/**
 * Admits a call that the gateway makes on behalf of a caller's call, before that call itself is admitted. Returns null
 * if a limit or a budget has no room for it. `limited`: rate limits apply as well.
 */
export async function admitAside(
  request: AdmitRequest,
  limited: boolean,
  admitter: Admitter,
): Promise<AdmittedAside | null> {
  const subject = new AdmissionSubject(request, admitter);
  await recounted(subject.budgets, admitter);
  const money = budgetCharges(subject, admitter);
  if (isFailure(money)) return null;
  const charges = [...money.charges];
  if (limited) limitCharges(subject, charges);
  if (charges.length === 0) return unmetered(request.targets);
  sort(charges);
  const got = await admitter.quotas.reserve(charges);
  if ("refused" in got) return null;
  return {
    settle: (record, counted) =>
      got.settle(charges.map((charge) => (counted || money.charges.includes(charge) ? charge.actual(record) : 0))),
  };
}

/** A copy of a call for its policy's shadow. */
export type CopyRequest = Pick<AdmitRequest, "route" | "identity" | "model" | "targets"> & {
  shaped: Shaped;
  /** The budget for copies; null if their cost is not limited. */
  budget: BudgetConfig | null;
};

/** Admits a copy. Returns null if its budget has no room, or can't tell what the copy may cost. */
export async function admitCopy(
  { budget, shaped, ...copy }: CopyRequest,
  admitter: Admitter,
): Promise<Admitted | null> {
  const { targets } = copy;
  if (budget === null) return unmetered(targets);
  const worst = (asked: readonly ResolvedTarget[]): WorstCost | null => worstCost(shaped, asked);
  const money = budgetCharges({ ...copy, budgets: [budget], session: () => "", worst }, admitter);
  if (isFailure(money)) return null;
  const odd = rejectUncountable(shaped) ?? rejectPricierTier(shaped, targets) ?? rejectUnreservable(shaped, targets);
  if (odd !== null) return null;
  sendCap(shaped, money.cap, true);
  if (money.charges.length === 0) return unmetered(targets);
  const got = await admitter.quotas.reserve(money.charges);
  return "refused" in got ? null : reservedBy(targets, money.charges, got, admitter.quotas);
}

/** The order in which charges are reserved, the same for all calls so that concurrent ones agree. */
const inOrder = (a: Charge, b: Charge): number => (a.counter.key < b.counter.key ? -1 : 1);

/** Sorts only if needed: a caller's charges come in the same order with every call, often the right one. */
function sort(charges: Charge[]): void {
  for (let index = 1; index < charges.length; index++) {
    if (inOrder(charges[index - 1] as Charge, charges[index] as Charge) < 0) continue;
    charges.sort(inOrder);
    return;
  }
}

export function admit(request: AdmitRequest, admitter: Admitter): Admitted | Failure | Promise<Admitted | Failure> {
  const subject = new AdmissionSubject(request, admitter);
  const counting = recounted(subject.budgets, admitter);
  const overtime = sessionOvertime(subject, admitter.sessionTimes);
  return counting === null && !(overtime instanceof Promise)
    ? (overtime ?? admitCounted(request, subject, admitter))
    : Promise.all([overtime, counting]).then(([late]) => late ?? admitCounted(request, subject, admitter));
}

/** Continues once the spending of budgets with new terms is known. */
function admitCounted(
  request: AdmitRequest,
  subject: AdmissionSubject,
  admitter: Admitter,
): Admitted | Failure | Promise<Admitted | Failure> {
  const money = budgetCharges(subject, admitter);
  if (isFailure(money)) return money;
  const { charges, cap } = money;
  limitCharges(subject, charges);
  if (charges.length === 0) return unmetered(request.targets);
  if (request.shaped !== null) {
    const odd =
      (subject.estimated ? rejectUncountable(request.shaped) : null) ??
      (subject.priced
        ? (rejectPricierTier(request.shaped, request.targets) ?? rejectUnreservable(request.shaped, request.targets))
        : null);
    if (odd !== null) return odd;
    sendCap(request.shaped, cap, subject.priced);
  }
  sort(charges);
  const got = admitter.quotas.reserve(charges);
  return got instanceof Promise
    ? got.then((reserved) => outcome(request, charges, reserved, admitter))
    : outcome(request, charges, got, admitter);
}
