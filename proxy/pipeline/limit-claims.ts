/** Which rate limits cover a call, and what it uses of each. */

import { chargedTokens, chargesOf } from "../call/charges.ts";
import type { Identity } from "../call/identity.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import type { BudgetConfig } from "../config/budget.ts";
import type { LimitConfig } from "../config/limits.ts";
import { type Failure, failure } from "../failure.ts";
import type { Claim, Refused } from "../fleet/claim-set.ts";
import type { CounterSpec } from "../fleet/slice.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Role, Route } from "../snapshot/snapshot.ts";
import { type ExpectedTokens, tokensOfLimit } from "./worst-case.ts";

/** What a budget has left, for the headers that report it. */
export interface BudgetLeft {
  budget: string;
  amountNanoUsd: number;
  leftNanoUsd: number;
  /** null if it never resets. */
  resetsAtMs: number | null;
}

/** A claim, how it is settled, and the failure if it is refused. */
export interface Charge extends Claim {
  /** What the call actually used, once it is over. */
  actual(record: CallRecord): number;
  /** For money only: what one attempt at a target can cost, and what attempts have cost. */
  attempts?: {
    most(target: ResolvedTarget): number;
    taken(attempts: readonly AttemptRecord[]): number;
  };
  refuse(refused: Refused): Failure;
  /** For money only: what is left of the budget. */
  left?(): BudgetLeft;
  /** Which headers report it. */
  shows: "requests" | "tokens" | null;
}

export interface LimitSubject {
  route: Route;
  identity: Identity;
  model: string;
  /** Those that cover the call. */
  budgets: readonly BudgetConfig[];
  /** The caller's role; null if it has none, or one that is not defined. */
  role: Role | null;
  /** What limits per session count it under; "" for a caller without a key. */
  session(): string;
  /** Computed once, on demand. */
  tokens(): ExpectedTokens;
}

/** The subject that a limit counts; null if the limit does not apply. Callers without a key share one subject. */
function subjectOf(per: LimitConfig["per"], call: LimitSubject): string | null {
  const { identity, model } = call;
  if (per === "Route") return "";
  if (per === "Session") return call.session();
  if (per === "Model") return model;
  if (identity.anonymous) return "";
  if (per === "Team") return identity.key.team;
  if (per === "User") return identity.key.user;
  return per === "Role" ? identity.key.role : identity.key.id;
}

const settled: Readonly<Record<LimitConfig["of"], (record: CallRecord) => number>> = {
  Requests: () => 1,
  Tokens: (record) => chargedTokens(chargesOf(record)),
  Concurrency: () => 0,
};

const whose: Readonly<Record<LimitConfig["per"], string>> = {
  ApiKey: "this API key",
  User: "this user",
  Role: "callers of this role",
  Team: "this team",
  Route: "this model's policy",
  Model: "this model",
  Session: "this session",
};

const forWhom = ({ per }: LimitConfig, by: string | null): string =>
  by === null ? whose[per] : `${per === "Route" ? "callers in its scope" : whose[per]}, as ${by} says`;

function span(ms: number): string {
  for (const [unit, name] of [
    [86_400_000, "day"],
    [3_600_000, "hour"],
    [60_000, "minute"],
    [1_000, "second"],
  ] as const) {
    if (ms % unit === 0) return ms === unit ? name : `${ms / unit} ${name}s`;
  }
  return `${ms} ms`;
}

export function unavailable(what: string): Failure {
  return failure(
    "state_unavailable",
    `The gateway can't check ${what} right now, and may not go on without. Try again in a moment.`,
    { retryAfterMs: 1_000 },
  );
}

/** Retry-After for a paused caller, in milliseconds: too long for SDKs to retry on their own. */
const pausedMs = 300_000;

/** The failure for a limit of 0. */
const paused = (limit: LimitConfig, by: string | null): Failure =>
  failure("rate_limit_exceeded", `Calls are paused by a limit of 0 for ${forWhom(limit, by)}. Ask who set it.`, {
    retryAfterMs: pausedMs,
  });

/** `by`: the Budget that sets the limit; null if the policy or the key does. */
function refusal(limit: LimitConfig, by: string | null, refused: Refused): Failure {
  if (refused.why === "unavailable") return unavailable(`the rate limit of ${whose[limit.per]}`);
  if (limit.amount === 0) return paused(limit, by);
  const retryAfterMs = Math.max(1_000, refused.retryAfterMs ?? 1_000);
  if (limit.of === "Concurrency") {
    return failure(
      "rate_limit_exceeded",
      `At most ${limit.amount} calls ${by === null ? "of" : "for"} ${forWhom(limit, by)} may be under way at once. Try again when one has ended.`,
      {
        retryAfterMs,
      },
    );
  }
  const what = limit.of === "Tokens" ? "tokens" : "requests";
  const message = `Rate limit reached: ${limit.amount} ${what} per ${span(limit.windowMs)} for ${forWhom(limit, by)}. Try again in ${Math.ceil(retryAfterMs / 1000)} s.`;
  return failure("rate_limit_exceeded", message, { retryAfterMs });
}

const counters = new WeakMap<LimitConfig, Map<string, CounterSpec>>();
/** Most callers of one limit whose counters are cached. */
const mostKept = 10_000;

function counterOf(limit: LimitConfig, owner: string, subject: string): CounterSpec {
  let made = counters.get(limit);
  if (made === undefined || made.size > mostKept) counters.set(limit, (made = new Map()));
  let counter = made.get(subject);
  if (counter === undefined) {
    const { per, of, windowMs, amount, onStateLoss } = limit;
    const kind = of === "Concurrency" ? "held" : "window";
    const key = `${kind === "held" ? "h" : "w"}|${owner}|${per}.${of}.${windowMs}|${subject}`;
    made.set(subject, (counter = { key, kind, limit: amount, windowMs, seed: 0, expiresAtMs: null, onStateLoss }));
  }
  return counter;
}

/** The counters of a policy's limits that all its callers share: those `per: Route`. */
export const sharedCounters = ({ id, limits }: Route["config"]) =>
  limits
    .filter(({ per, of, amount }) => per === "Route" && of !== "Concurrency" && amount > 0)
    .map((limit) => ({ limit, counter: counterOf(limit, id, "") }));

class LimitDue implements Charge {
  readonly counter: CounterSpec;
  readonly amount: number;
  readonly #limit: LimitConfig;
  readonly #by: string | null;

  constructor(limit: LimitConfig, owner: string, subject: string, call: LimitSubject, by: string | null) {
    this.counter = counterOf(limit, owner, subject);
    this.amount = limit.of === "Tokens" ? tokensOfLimit(call.tokens(), limit.amount) : 1;
    this.#limit = limit;
    this.#by = by;
  }

  actual(record: CallRecord): number {
    return settled[this.#limit.of](record);
  }

  refuse(refused: Refused): Failure {
    return refusal(this.#limit, this.#by, refused);
  }

  get shows(): Charge["shows"] {
    const { of } = this.#limit;
    return of === "Requests" ? "requests" : of === "Tokens" ? "tokens" : null;
  }
}

function budgetLimits(call: LimitSubject, dues: Charge[]): void {
  for (const budget of call.budgets) {
    for (const limit of budget.limits) {
      const subject = subjectOf(limit.per, call);
      if (subject !== null) dues.push(new LimitDue(limit, `budget:${budget.id}`, subject, call, `Budget ${budget.id}`));
    }
  }
}

const none: readonly LimitConfig[] = [];

/** Adds what the call uses of its limits to `dues`. */
export function limitCharges(call: LimitSubject, dues: Charge[]): void {
  const { identity, route, role } = call;
  for (const limit of route.config.limits) {
    const subject = subjectOf(limit.per, call);
    if (subject !== null) dues.push(new LimitDue(limit, route.config.id, subject, call, null));
  }
  budgetLimits(call, dues);
  if (identity.anonymous) return;
  const { key, namespace } = identity;
  for (const limit of role?.limits ?? none)
    dues.push(new LimitDue(limit, `role:${key.role}`, `${namespace}/${key.user}`, call, `the role ${key.role}`));
  for (const limit of key.limits ?? none) dues.push(new LimitDue(limit, "key", key.id, call, null));
}
