/** Which rate limits cover a call, and what it uses of each. */

import { chargedTokens, chargesOf } from "../call/charges.ts";
import type { Identity } from "../call/identity.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import type { BudgetConfig } from "../config/budget.ts";
import type { LimitConfig } from "../config/limits.ts";
import { nounCount } from "../config/noun-count.ts";
import { type Failure, failure } from "../failure.ts";
import type { Claim, Refused } from "../fleet/claim-set.ts";
import type { CounterSpec } from "../fleet/slice.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Role, Route } from "../snapshot/snapshot.ts";
import type { ExpectedTokens } from "./call-bounds.ts";
import { tokensOfLimit } from "./worst-case.ts";

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
  /** The session's name for limits per session; "" for a caller without a key. */
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
    `The gateway can't check ${what} right now, and may not let calls pass without it. Try again in a moment.`,
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

/** `by`: the Budget that sets the limit; null if the policy or the key does. `amount`: what the call reserves. */
function refusal({ limit, by }: LimitSource, amount: number, refused: Refused): Failure {
  if (refused.why === "unavailable") return unavailable(`the rate limit of ${whose[limit.per]}`);
  if (limit.amount === 0) return paused(limit, by);
  const retryAfterMs = Math.max(1_000, refused.retryAfterMs ?? 1_000);
  if (limit.of === "Concurrency") {
    return failure(
      "rate_limit_exceeded",
      `At most ${nounCount(limit.amount, "call")} ${by === null ? "of" : "for"} ${forWhom(limit, by)} may be under way at once. Try again when one has ended.`,
      {
        retryAfterMs,
      },
    );
  }
  const what = nounCount(limit.amount, limit.of === "Tokens" ? "token" : "request");
  // A request counts as one, whatever the caller changes.
  const hint =
    limit.of === "Tokens"
      ? ` Until its answer is known, this call counts as ${nounCount(amount, "token")}; a lower limit on output tokens may let it pass.`
      : "";
  const message = `Rate limit reached: ${what} per ${span(limit.windowMs)} for ${forWhom(limit, by)}.${hint} Try again in ${Math.ceil(retryAfterMs / 1000)} s.`;
  return failure("rate_limit_exceeded", message, { retryAfterMs });
}

/** Most callers of one limit whose counters are cached. */
const maxKept = 10_000;

/** A limit at its source, with its callers' counters. */
class LimitSource {
  readonly limit: LimitConfig;
  /** What the refusal names as its origin; null if the policy or the key sets it. */
  readonly by: string | null;
  readonly shows: Charge["shows"];
  readonly #start: string;
  readonly #counters = new Map<string, CounterSpec>();

  constructor(limit: LimitConfig, owner: string, by: string | null) {
    const { of, per, windowMs } = limit;
    this.limit = limit;
    this.by = by;
    this.shows = of === "Requests" ? "requests" : of === "Tokens" ? "tokens" : null;
    this.#start = `${of === "Concurrency" ? "h" : "w"}|${owner}|${per}.${of}.${windowMs}|`;
  }

  counterOf(subject: string): CounterSpec {
    const cached = this.#counters.get(subject);
    if (cached !== undefined) return cached;
    const { of, windowMs, amount, onStateLoss } = this.limit;
    const kind = of === "Concurrency" ? "held" : "window";
    const key = this.#start + subject;
    const counter: CounterSpec = { key, kind, limit: amount, windowMs, seed: 0, expiresAtMs: null, onStateLoss };
    if (this.#counters.size >= maxKept) this.#counters.clear();
    this.#counters.set(subject, counter);
    return counter;
  }
}

const sources = new WeakMap<object, readonly LimitSource[]>();

/** The limits that `holder` sets: a policy, budget, role or key of a snapshot, which is the same object for each call. */
function sourcesOf(holder: object, limits: readonly LimitConfig[], owner: string, by: string | null) {
  const made = limits.map((limit) => new LimitSource(limit, owner, by));
  sources.set(holder, made);
  return made;
}

const ofRoute = (config: Route["config"]): readonly LimitSource[] =>
  sources.get(config) ?? sourcesOf(config, config.limits, config.id, null);
const ofBudget = (budget: BudgetConfig): readonly LimitSource[] =>
  sources.get(budget) ?? sourcesOf(budget, budget.limits, `budget:${budget.id}`, `Budget ${budget.id}`);
const ofRole = (role: Role, name: string): readonly LimitSource[] =>
  sources.get(role) ?? sourcesOf(role, role.limits, `role:${name}`, `the role ${name}`);
const ofKey = (key: LimitedKey, limits: readonly LimitConfig[]): readonly LimitSource[] =>
  sources.get(key) ?? sourcesOf(key, limits, "key", null);

type LimitedKey = Extract<Identity, { anonymous: false }>["key"];

/** The counters of a policy's limits that all its callers share: those `per: Route`. */
export const sharedCounters = (config: Route["config"]) =>
  ofRoute(config)
    .filter(({ limit: { per, of, amount } }) => per === "Route" && of !== "Concurrency" && amount > 0)
    .map((source) => ({ limit: source.limit, counter: source.counterOf("") }));

class LimitCharge implements Charge {
  readonly counter: CounterSpec;
  readonly amount: number;
  readonly #source: LimitSource;

  constructor(source: LimitSource, subject: string, call: LimitSubject) {
    const { limit } = source;
    this.counter = source.counterOf(subject);
    this.amount = limit.of === "Tokens" ? tokensOfLimit(call.tokens(), limit.amount) : 1;
    this.#source = source;
  }

  actual(record: CallRecord): number {
    return settled[this.#source.limit.of](record);
  }

  refuse(refused: Refused): Failure {
    return refusal(this.#source, this.amount, refused);
  }

  get shows(): Charge["shows"] {
    return this.#source.shows;
  }
}

/** `subject`: counted by all of these limits; by default, each limit's own subject. */
function addCharges(charges: Charge[], from: readonly LimitSource[], call: LimitSubject, subject?: string): void {
  for (let index = 0; index < from.length; index++) {
    const source = from[index] as LimitSource;
    const counted = subject ?? subjectOf(source.limit.per, call);
    if (counted !== null) charges.push(new LimitCharge(source, counted, call));
  }
}

/** Adds what the call uses of its limits to `charges`. */
export function limitCharges(call: LimitSubject, charges: Charge[]): void {
  const { identity, route, role, budgets } = call;
  if (route.config.limits.length > 0) addCharges(charges, ofRoute(route.config), call);
  for (let index = 0; index < budgets.length; index++) {
    const budget = budgets[index] as BudgetConfig;
    if (budget.limits.length > 0) addCharges(charges, ofBudget(budget), call);
  }
  if (identity.anonymous) return;
  const { key, namespace } = identity;
  if (role !== null && role.limits.length > 0)
    addCharges(charges, ofRole(role, key.role), call, `${namespace}/${key.user}`);
  if (key.limits !== undefined && key.limits.length > 0) addCharges(charges, ofKey(key, key.limits), call, key.id);
}
