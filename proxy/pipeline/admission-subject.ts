/** What limits and budgets need to know about a call. */
import type { Identity } from "../call/identity.ts";
import type { SessionRoom } from "../call/session-room.ts";
import type { BudgetConfig } from "../config/budget.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Role, Route } from "../snapshot/snapshot.ts";
import type { AdmitRequest, Admitter } from "./admit-request.ts";
import type { BudgetSubject } from "./budget-claims.ts";
import type { ExpectedTokens, WorstCost } from "./call-bounds.ts";
import type { LimitSubject } from "./limit-claims.ts";
import { covering } from "./scope.ts";
import type { UsageHabits } from "./usage-habits.ts";
import { expectedTokens, worstCaseOfUpload, worstCost } from "./worst-case.ts";

/** The limits and budgets that cover a call, and the most that it can use, which is computed only on demand. */
export class AdmissionSubject implements BudgetSubject, LimitSubject {
  readonly route: Route;
  readonly identity: Identity;
  readonly model: string;
  readonly targets: readonly ResolvedTarget[];
  readonly role: Role | null;
  readonly budgets: readonly BudgetConfig[];
  readonly #request: AdmitRequest;
  /** Whether a limit needed the most that the call can use. */
  estimated = false;
  /** Whether a budget needed the most that the call can cost. */
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
    const first = targets[0];
    const usual = first === undefined ? null : this.#habits.of("", first.model.name).expectedOutput;
    this.#tokens ??= shaped === null ? { prompt: 0, answer: 0 } : expectedTokens(shaped, targets, usual);
    return this.#tokens;
  }
}
