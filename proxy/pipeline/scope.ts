/** Which calls a Budget covers. */

import type { Identity } from "../call/identity.ts";
import type { BudgetConfig } from "../config/budget.ts";
import type { KeyRecord } from "../config/key-record.ts";
import type { LedgerRow } from "../config/ledger.ts";
import { allowsModel } from "../config/model-pattern.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route, Snapshot } from "../snapshot/snapshot.ts";

export interface ScopeSubject {
  route: Route;
  identity: Identity;
  /** The model's name in the route. */
  model: string;
  /** Every target that the call may be sent to. */
  targets: readonly ResolvedTarget[];
}

/** Callers without a key spend the money of the policy's namespace. */
export function chargedNamespace({ identity, route }: Pick<ScopeSubject, "identity" | "route">): string {
  return identity.anonymous ? (route.config.id.split("/", 1)[0] ?? "") : identity.namespace;
}

const named = (names: string[] | null, name: string | null): boolean =>
  names === null || (name !== null && names.includes(name));

/** The caller, for matching a budget's scope: from a key's record, or a row of the usage ledger. */
export type Caller = Pick<KeyRecord, "id" | "user" | "team" | "role" | "tags" | "budgets">;

/** Scope matching for budgets of the caller's namespace. null: a caller without a key. */
export function coversCaller({ id, scope }: BudgetConfig, caller: Caller | null): boolean {
  if (scope.selected && !(caller?.budgets ?? []).includes(id)) return false;
  if (scope.tags !== null && !(caller?.tags ?? []).some((tag) => scope.tags?.includes(tag))) return false;
  if (!named(scope.apiKeys, caller?.id ?? null) || !named(scope.users, caller?.user ?? null)) return false;
  return named(scope.teams, caller?.team ?? null) && named(scope.roles, caller?.role ?? null);
}

/**
 * The subject whose share of a budget the call uses; "" if all share one, or the subject has no name. The ledger doesn't
 * know sessions.
 */
export function subjectOf({ per }: BudgetConfig, caller: Caller | null, model: string): string {
  if (per === null || per === "Session") return "";
  if (per === "Model") return model;
  if (caller === null) return "";
  if (per === "User") return caller.user;
  return per === "Team" ? (caller.team ?? "") : caller.id;
}

/** Scope matching for budgets of the call's own namespace. */
export function covers(budget: BudgetConfig, { identity, model, targets }: ScopeSubject, nowMs: number): boolean {
  const { scope, expiresAtMs } = budget;
  if (expiresAtMs !== null && nowMs >= expiresAtMs) return false;
  if (!allowsModel(scope.models, model) || !coversCaller(budget, identity.anonymous ? null : identity.key))
    return false;
  return (
    scope.providers === null || targets.some((target) => scope.providers?.includes(target.entry.account.config.id))
  );
}

const none: readonly BudgetConfig[] = [];

const those = (all: readonly BudgetConfig[], call: ScopeSubject, nowMs: number): readonly BudgetConfig[] =>
  all.filter((budget) => covers(budget, call, nowMs));

/** The budgets of the namespace that cover a call. */
export function covering({ budgets }: Snapshot, call: ScopeSubject, nowMs: number): readonly BudgetConfig[] {
  const own = budgets.get(chargedNamespace(call));
  if (own === undefined) return none;
  // Usually all of them do.
  for (let index = 0; index < own.length; index++)
    if (!covers(own[index] as BudgetConfig, call, nowMs)) return those(own, call, nowMs);
  return own;
}

/** Like `covers`, for the calls that a ledger row adds up, whichever target finally served them. */
export function coversRow(budget: BudgetConfig, row: LedgerRow, caller: Caller | null): boolean {
  const { scope } = budget;
  if (row.namespace !== budget.namespace || !allowsModel(scope.models, row.model)) return false;
  return coversCaller(budget, caller) && named(scope.providers, row.provider);
}
