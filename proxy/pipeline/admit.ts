/**
 * Stage: whether the call fits in every rate limit and budget that it falls under, all of them or none. It reserves the
 * most that the call can take, before any provider is asked, and settles what it took when it is over, whatever became
 * of it. An answer from the cache takes nothing.
 */

import type { Identity } from "../call/identity.ts";
import type { CallRecord } from "../call/record.ts";
import type { Shaped } from "../call/shaped.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { addLimitHeaders, type LimitReading } from "../dialects/limit-headers.ts";
import type { Failure } from "../failure.ts";
import type { Refused } from "../fleet/claim-set.ts";
import type { Quotas, Reservation } from "../fleet/quotas.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Role, Route, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Addressed } from "./address.ts";
import { type BudgetSubject, budgetCharges } from "./budget-claims.ts";
import { type Charge, type LimitSubject, limitCharges } from "./limit-claims.ts";
import { chargedNamespace, covers, type ScopeSubject } from "./scope.ts";
import {
  expectedTokens,
  rejectPricierTier,
  rejectUncountable,
  rejectUnreservable,
  sendCap,
  type WorstCost,
  worstCaseOfUpload,
  worstCost,
} from "./worst-case.ts";

export interface AdmitRequest {
  client: ClientConnection;
  surface: Addressed["surface"];
  snapshot: Snapshot;
  route: Route;
  identity: Identity;
  /** null for what passes through unread: files, batches, fine-tuning. It counts as a request without tokens. */
  shaped: Shaped | null;
  /** Every one that the call may be sent to. */
  targets: readonly ResolvedTarget[];
  /** As the route knows it. */
  model: string;
}

export interface Admitter {
  quotas: Quotas;
  nowMs(): number;
  random(): number;
}

/** Leave to make the call. */
export interface Admitted {
  /** Once the call is over; only the first time counts. */
  settle(record: CallRecord): void;
}

const unmetered: Admitted = { settle: () => undefined };

/** Of the limit with the least left. */
function tightest(dues: readonly Charge[], what: "requests" | "tokens", quotas: Quotas): LimitReading | null {
  let least: LimitReading | null = null;
  for (const due of dues) {
    if (due.shows !== what) continue;
    const reading = quotas.reading(due.claim.counter);
    if (least === null || reading.remaining / reading.limit < least.remaining / least.limit) least = reading;
  }
  return least;
}

function outcome(
  request: AdmitRequest,
  dues: readonly Charge[],
  got: Reservation | Refused,
  { quotas, nowMs }: Admitter,
): Admitted | Failure {
  const readings = { requests: tightest(dues, "requests", quotas), tokens: tightest(dues, "tokens", quotas) };
  if (readings.requests !== null || readings.tokens !== null) {
    const takenMs = nowMs();
    request.client.always((headers) => addLimitHeaders(headers, readings, request.surface, takenMs));
  }
  if ("refused" in got) return (dues.find((due) => due.claim.counter === got.refused) as Charge).refuse(got);
  return { settle: (record) => got.settle(dues.map((due) => due.actual(record))) };
}

const none: readonly BudgetConfig[] = [];

function covering({ budgets }: Snapshot, call: ScopeSubject, nowMs: number): readonly BudgetConfig[] {
  const own = budgets.get(chargedNamespace(call));
  return own === undefined ? none : own.filter((budget) => covers(budget, call, nowMs));
}

/** What a call falls under, and the most that it can take of it, which is worked out where something asks. */
class Subject implements BudgetSubject, LimitSubject {
  readonly route: Route;
  readonly identity: Identity;
  readonly model: string;
  readonly targets: readonly ResolvedTarget[];
  readonly role: Role | null;
  readonly budgets: readonly BudgetConfig[];
  readonly #request: AdmitRequest;
  /** Something asked how much the call can take. */
  estimated = false;
  /** Something asked what it can cost. */
  priced = false;
  #worst: WorstCost | null | undefined;
  #tokens: number | undefined;

  constructor(request: AdmitRequest, nowMs: number) {
    const { route, identity, model, targets, snapshot } = request;
    this.#request = request;
    this.route = route;
    this.identity = identity;
    this.model = model;
    this.targets = targets;
    this.role = identity.anonymous ? null : (snapshot.roles.get(identity.key.role) ?? null);
    const own = covering(snapshot, request, nowMs);
    this.budgets = this.role === null || this.role.budget === null ? own : [...own, this.role.budget];
  }

  worst(): WorstCost | null {
    this.estimated = true;
    this.priced = true;
    const { shaped, client, targets } = this.#request;
    if (this.#worst === undefined)
      this.#worst = shaped === null ? worstCaseOfUpload(client.method, client.path) : worstCost(shaped, targets);
    return this.#worst;
  }

  tokens(): number {
    this.estimated = true;
    const { shaped } = this.#request;
    this.#tokens ??= shaped === null ? 0 : expectedTokens(shaped);
    return this.#tokens;
  }
}

/** Leave for a call of the gateway's own. */
export interface AdmittedAside {
  /** `counted`: it is all that comes of the caller's call, and counts in its place. Money is charged either way. */
  settle(record: CallRecord, counted: boolean): void;
}

/**
 * Leave for a call that the gateway makes for a caller's, before that call itself is admitted: where a limit or a budget
 * has no room for it, null. `limited`: rate limits are asked as well.
 */
export async function admitAside(
  request: AdmitRequest & { shaped: Shaped },
  limited: boolean,
  admitter: Admitter,
): Promise<AdmittedAside | null> {
  const subject = new Subject(request, admitter.nowMs());
  const money = budgetCharges(subject, admitter);
  if ("code" in money) return null;
  const dues = [...money.dues];
  if (limited) limitCharges(subject, dues);
  if (dues.length === 0) return unmetered;
  sort(dues);
  const got = await admitter.quotas.reserve(dues.map((due) => due.claim));
  if ("refused" in got) return null;
  return {
    settle: (record, counted) =>
      got.settle(dues.map((due) => (counted || money.dues.includes(due) ? due.actual(record) : 0))),
  };
}

/** One order everywhere. */
const inOrder = (a: Charge, b: Charge): number => (a.claim.counter.key < b.claim.counter.key ? -1 : 1);

/** Sorts only what is out of order: the dues of a caller come in the same order with every call, often the right one. */
function sort(dues: Charge[]): void {
  for (let at = 1; at < dues.length; at++) {
    if (inOrder(dues[at - 1] as Charge, dues[at] as Charge) < 0) continue;
    dues.sort(inOrder);
    return;
  }
}

export function admit(request: AdmitRequest, admitter: Admitter): Admitted | Failure | Promise<Admitted | Failure> {
  const subject = new Subject(request, admitter.nowMs());
  const money = budgetCharges(subject, admitter);
  if ("code" in money) return money;
  const { dues, cap } = money;
  limitCharges(subject, dues);
  if (dues.length === 0) return unmetered;
  if (request.shaped !== null) {
    const odd =
      (subject.estimated ? rejectUncountable(request.shaped) : null) ??
      (subject.priced
        ? (rejectPricierTier(request.shaped) ?? rejectUnreservable(request.shaped, request.targets))
        : null);
    if (odd !== null) return odd;
    sendCap(request.shaped, cap, subject.priced);
  }
  sort(dues);
  const got = admitter.quotas.reserve(dues.map((due) => due.claim));
  return got instanceof Promise
    ? got.then((one) => outcome(request, dues, one, admitter))
    : outcome(request, dues, got, admitter);
}
