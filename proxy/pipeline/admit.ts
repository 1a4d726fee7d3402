/**
 * Stage: whether the call fits in every rate limit and budget that covers it, all or nothing. It reserves the most that
 * the call can use before any provider is asked, and settles what it did use when the call is over, whatever the
 * outcome. An answer from the cache uses nothing.
 */

import type { Identity } from "../call/identity.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import type { SessionRoom } from "../call/session-room.ts";
import type { Shaped } from "../call/shaped.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { usd } from "../config/usage-report.ts";
import { addLimitHeaders, type LimitReading, type LimitReadings } from "../dialects/limit-headers.ts";
import type { Failure } from "../failure.ts";
import type { Refused } from "../fleet/claim-set.ts";
import type { Quotas, Reservation } from "../fleet/quotas.ts";
import type { SessionTimes } from "../fleet/session-times.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Role, Route, Snapshot } from "../snapshot/snapshot.ts";
import type { ClientConnection } from "../wire/client.ts";
import type { Addressed } from "./address.ts";
import { type BudgetSubject, budgetCharges, recounted } from "./budget-claims.ts";
import { type BudgetLeft, type Charge, type LimitSubject, limitCharges } from "./limit-claims.ts";
import type { Admission } from "./proof.ts";
import type { Recounts } from "./recounts.ts";
import { covering } from "./scope.ts";
import { sessionOvertime } from "./session-time.ts";
import type { UsageHabits } from "./usage-habits.ts";
import {
  type ExpectedTokens,
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
  client: Pick<ClientConnection, "always" | "method" | "path">;
  surface: Addressed["surface"];
  snapshot: Snapshot;
  route: Route;
  identity: Identity;
  /** null for calls that pass through unread (files, batches, fine-tuning), which count as a request without tokens. */
  shaped: Shaped | null;
  /** Every target that the call may be sent to. */
  targets: readonly ResolvedTarget[];
  /** The model's name in the route. */
  model: string;
  /** As returned by `sessionOf`; "" for none. */
  session: string;
}

export interface Admitter {
  sessions: SessionRoom;
  quotas: Quotas;
  /** Absent if nothing is counted. */
  sessionTimes?: SessionTimes;
  /** Absent if no budget's terms ever change. */
  recounts?: Recounts;
  habits: UsageHabits;
  nowMs(): number;
  random(): number;
}

/** A call's reservation. */
interface Reserving {
  /** Targets that the call may be sent to: an exhausted budget can leave fewer than were requested. */
  targets: readonly ResolvedTarget[];
  /**
   * Reserves what one more attempt at a target can cost, in addition to what earlier attempts are charged. Returns
   * false if it doesn't fit, so that the attempt may not be made.
   */
  cover(target: ResolvedTarget, attempts: readonly AttemptRecord[]): boolean | Promise<boolean>;
  /** Settles the reservation once the call is over. Later calls have no effect. */
  settle(record: CallRecord): void;
}

/** Permission to make the call. */
export type Admitted = Admission<Reserving>;

const admitted = (reserving: Reserving): Admitted => reserving as Admitted;

const unmetered = (targets: readonly ResolvedTarget[]): Admitted =>
  admitted({ targets, cover: () => true, settle: () => undefined });

/** A later reservation for a call, for the dues whose first reservation was too small. */
interface Extension {
  reservation: Reservation;
  dues: readonly Charge[];
  amounts: readonly number[];
}

/** What a call has reserved: at first the cost of its most expensive attempt, and more if another attempt follows. */
class Reserved implements Reserving {
  readonly targets: readonly ResolvedTarget[];
  readonly #dues: readonly Charge[];
  readonly #first: Reservation;
  readonly #quotas: Quotas;
  readonly #extensions: Extension[] = [];

  constructor(targets: readonly ResolvedTarget[], dues: readonly Charge[], first: Reservation, quotas: Quotas) {
    this.targets = targets;
    this.#dues = dues;
    this.#first = first;
    this.#quotas = quotas;
  }

  #reserved(due: Charge): number {
    let sum = due.amount;
    for (const { dues, amounts } of this.#extensions) sum += amounts[dues.indexOf(due)] ?? 0;
    return sum;
  }

  async cover(target: ResolvedTarget, attempts: readonly AttemptRecord[]): Promise<boolean> {
    const short: [due: Charge, amount: number][] = [];
    for (const due of this.#dues) {
      const most = due.attempts?.most(target) ?? 0;
      if (due.attempts === undefined || most === 0) continue;
      const missing = most + due.attempts.taken(attempts) - this.#reserved(due);
      if (missing > 0) short.push([due, missing]);
    }
    if (short.length === 0) return true;
    const reservation = await this.#quotas.reserve(short.map(([{ counter }, amount]) => ({ counter, amount })));
    if ("refused" in reservation) return false;
    this.#extensions.push({
      reservation,
      dues: short.map(([due]) => due),
      amounts: short.map(([, amount]) => amount),
    });
    return true;
  }

  settle(record: CallRecord): void {
    const left = this.#dues.map((due) => due.actual(record));
    for (const { reservation, dues, amounts } of this.#extensions) {
      const used = dues.map((due, position) => {
        const index = this.#dues.indexOf(due);
        const part = Math.min(left[index] ?? 0, amounts[position] ?? 0);
        left[index] = (left[index] ?? 0) - part;
        return part;
      });
      reservation.settle(used);
    }
    this.#first.settle(left);
  }
}

const share = ({ remaining, limit }: LimitReading): number => (limit === 0 ? 0 : remaining / limit);

/** The reading of the limit with the least left. */
function tightest(dues: readonly Charge[], what: "requests" | "tokens", quotas: Quotas): LimitReading | null {
  let least: LimitReading | null = null;
  for (const due of dues) {
    if (due.shows !== what) continue;
    const reading = quotas.reading(due.counter);
    if (least === null || share(reading) < share(least)) least = reading;
  }
  return least;
}

/** Adds headers about the budget with the smallest share left. */
function showBudget(client: AdmitRequest["client"], dues: readonly Charge[]): void {
  const share = ({ leftNanoUsd, amountNanoUsd }: BudgetLeft): number =>
    amountNanoUsd === 0 ? 0 : leftNanoUsd / amountNanoUsd;
  const [tight] = dues.flatMap((due) => due.left?.() ?? []).sort((a, b) => share(a) - share(b));
  if (tight === undefined) return;
  client.always((headers) => {
    headers["x-sluice-budget"] = tight.budget;
    headers["x-sluice-budget-left-usd"] = usd(tight.leftNanoUsd);
    if (tight.resetsAtMs !== null) headers["x-sluice-budget-resets"] = new Date(tight.resetsAtMs).toISOString();
  });
}

function outcome(
  request: AdmitRequest,
  dues: readonly Charge[],
  got: Reservation | Refused,
  admitter: Admitter,
): Admitted | Failure | Promise<Admitted | Failure> {
  const { quotas, nowMs } = admitter;
  const readings = { requests: tightest(dues, "requests", quotas), tokens: tightest(dues, "tokens", quotas) };
  if (readings.requests !== null || readings.tokens !== null) {
    showLimits(request, readings, nowMs());
  }
  if (request.snapshot.settings.budgetHeaders) showBudget(request.client, dues);
  return "refused" in got
    ? refused(request, dues, got, admitter)
    : admitted(new Reserved(request.targets, dues, got, quotas));
}

function showLimits({ client, surface }: AdmitRequest, readings: LimitReadings, takenMs: number): void {
  client.always((headers) => addLimitHeaders(headers, readings, surface, takenMs));
}

function refused(
  request: AdmitRequest,
  dues: readonly Charge[],
  got: Refused,
  admitter: Admitter,
): Failure | Admitted | Promise<Admitted | Failure> {
  const refusing = dues.find((due) => due.counter === got.refused) as Charge;
  const { attempts } = refusing;
  const elsewhere = attempts === undefined ? [] : request.targets.filter((target) => attempts.most(target) === 0);
  // A hard budget for one provider, or for paid targets only, leaves the call to the other targets.
  return elsewhere.length > 0 && elsewhere.length < request.targets.length
    ? admit({ ...request, targets: elsewhere }, admitter)
    : refusing.refuse(got);
}

/** The limits and budgets that cover a call, and the most that it can use, which is computed only on demand. */
class Subject implements BudgetSubject, LimitSubject {
  readonly route: Route;
  readonly identity: Identity;
  readonly model: string;
  readonly targets: readonly ResolvedTarget[];
  readonly role: Role | null;
  readonly budgets: readonly BudgetConfig[];
  readonly #request: AdmitRequest;
  /** Whether a limit asked for the most that the call can use. */
  estimated = false;
  /** Whether a budget asked for the most that the call can cost. */
  priced = false;
  #worst: WorstCost | null | undefined;
  readonly #habits: UsageHabits;
  readonly #sessions: SessionRoom;
  readonly #nowMs: number;
  #tokens: ExpectedTokens | undefined;
  #session: string | undefined;

  constructor(request: AdmitRequest, { nowMs, habits, sessions }: Admitter) {
    this.#habits = habits;
    this.#sessions = sessions;
    this.#nowMs = nowMs();
    const { route, identity, model, targets, snapshot } = request;
    this.#request = request;
    this.route = route;
    this.identity = identity;
    this.model = model;
    this.targets = targets;
    this.role = identity.anonymous ? null : (snapshot.roles.get(identity.key.role) ?? null);
    const own = covering(snapshot, request, this.#nowMs);
    this.budgets = this.role === null || this.role.budget === null ? own : [...own, this.role.budget];
  }

  session(): string {
    const { identity, session } = this.#request;
    if (identity.anonymous) return "";
    this.#session ??= this.#sessions.subject(identity.key.id, session, this.#nowMs);
    return this.#session;
  }

  worst(targets: readonly ResolvedTarget[]): WorstCost | null {
    this.estimated = true;
    this.priced = true;
    if (targets !== this.targets) return this.#worstOf(targets);
    if (this.#worst === undefined) this.#worst = this.#worstOf(targets);
    return this.#worst;
  }

  #worstOf(targets: readonly ResolvedTarget[]): WorstCost | null {
    const { shaped, client } = this.#request;
    return shaped === null ? worstCaseOfUpload(client.method, client.path) : worstCost(shaped, targets);
  }

  tokens(): ExpectedTokens {
    this.estimated = true;
    const { shaped, targets } = this.#request;
    const [first] = targets;
    const usual = first === undefined ? null : this.#habits.of("", first.model.name).expectedOutput;
    this.#tokens ??= shaped === null ? { prompt: 0, answer: 0 } : expectedTokens(shaped, targets, usual);
    return this.#tokens;
  }
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
  const subject = new Subject(request, admitter);
  await recounted(subject.budgets, admitter);
  const money = budgetCharges(subject, admitter);
  if ("code" in money) return null;
  const dues = [...money.dues];
  if (limited) limitCharges(subject, dues);
  if (dues.length === 0) return unmetered(request.targets);
  sort(dues);
  const got = await admitter.quotas.reserve(dues);
  if ("refused" in got) return null;
  return {
    settle: (record, counted) =>
      got.settle(dues.map((due) => (counted || money.dues.includes(due) ? due.actual(record) : 0))),
  };
}

/** A copy of a call for its policy's shadow. */
export type CopyRequest = Pick<AdmitRequest, "route" | "identity" | "model" | "targets"> & {
  shaped: Shaped;
  /** The only one that counts copies; null if their cost is not limited. */
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
  if ("code" in money) return null;
  const odd = rejectUncountable(shaped) ?? rejectPricierTier(shaped, targets) ?? rejectUnreservable(shaped, targets);
  if (odd !== null) return null;
  sendCap(shaped, money.cap, true);
  if (money.dues.length === 0) return unmetered(targets);
  const got = await admitter.quotas.reserve(money.dues);
  return "refused" in got ? null : admitted(new Reserved(targets, money.dues, got, admitter.quotas));
}

/** The one order in which dues are reserved, so that concurrent calls agree. */
const inOrder = (a: Charge, b: Charge): number => (a.counter.key < b.counter.key ? -1 : 1);

/** Sorts only if needed: a caller's dues come in the same order with every call, often the right one. */
function sort(dues: Charge[]): void {
  for (let at = 1; at < dues.length; at++) {
    if (inOrder(dues[at - 1] as Charge, dues[at] as Charge) < 0) continue;
    dues.sort(inOrder);
    return;
  }
}

export function admit(request: AdmitRequest, admitter: Admitter): Admitted | Failure | Promise<Admitted | Failure> {
  const subject = new Subject(request, admitter);
  const counting = recounted(subject.budgets, admitter);
  const overtime = sessionOvertime(subject, admitter.sessionTimes);
  return counting === null && !(overtime instanceof Promise)
    ? (overtime ?? admitCounted(request, subject, admitter))
    : Promise.all([overtime, counting]).then(([late]) => late ?? admitCounted(request, subject, admitter));
}

/** Continues once the spending of budgets with new terms is known. */
function admitCounted(
  request: AdmitRequest,
  subject: Subject,
  admitter: Admitter,
): Admitted | Failure | Promise<Admitted | Failure> {
  const money = budgetCharges(subject, admitter);
  if ("code" in money) return money;
  const { dues, cap } = money;
  limitCharges(subject, dues);
  if (dues.length === 0) return unmetered(request.targets);
  if (request.shaped !== null) {
    const odd =
      (subject.estimated ? rejectUncountable(request.shaped) : null) ??
      (subject.priced
        ? (rejectPricierTier(request.shaped, request.targets) ?? rejectUnreservable(request.shaped, request.targets))
        : null);
    if (odd !== null) return odd;
    sendCap(request.shaped, cap, subject.priced);
  }
  sort(dues);
  const got = admitter.quotas.reserve(dues);
  return got instanceof Promise
    ? got.then((one) => outcome(request, dues, one, admitter))
    : outcome(request, dues, got, admitter);
}
