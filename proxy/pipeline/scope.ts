/** Whose calls a Budget is about. */

import type { Identity } from "../call/identity.ts";
import type { BudgetConfig } from "../config/budget.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Route } from "../snapshot/snapshot.ts";

export interface ScopeSubject {
  route: Route;
  identity: Identity;
  /** As the route knows it. */
  model: string;
  /** Every one that the call may be sent to. */
  targets: readonly ResolvedTarget[];
}

/** Whoever calls without a key spends the money of the policy's namespace. */
export function chargedNamespace({ identity, route }: ScopeSubject): string {
  return identity.anonymous ? (route.config.id.split("/", 1)[0] ?? "") : identity.namespace;
}

const named = (names: string[] | null, name: string | null): boolean =>
  names === null || (name !== null && names.includes(name));

function coversCaller({ id, scope }: BudgetConfig, identity: Identity): boolean {
  const key = identity.anonymous ? null : identity.key;
  if (scope.selected && !(key?.budgets ?? []).includes(id)) return false;
  if (scope.tags !== null && !(key?.tags ?? []).some((tag) => scope.tags?.includes(tag))) return false;
  if (!named(scope.apiKeys, key?.id ?? null) || !named(scope.users, key?.user ?? null)) return false;
  return named(scope.teams, key?.team ?? null) && named(scope.roles, key?.role ?? null);
}

/** For budgets of the call's own namespace. */
export function covers(budget: BudgetConfig, { identity, model, targets }: ScopeSubject, nowMs: number): boolean {
  const { scope, expiresAtMs } = budget;
  if (expiresAtMs !== null && nowMs >= expiresAtMs) return false;
  if (!named(scope.models, model) || !coversCaller(budget, identity)) return false;
  return (
    scope.providers === null || targets.some((target) => scope.providers?.includes(target.entry.account.config.id))
  );
}
