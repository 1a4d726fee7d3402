/** Whose calls a Budget is about. */
import type { BudgetConfig } from "../config/budget.ts";
import type { Route } from "../snapshot/snapshot.ts";
import type { Identity } from "./authenticate.ts";
import type { ResolvedTarget } from "./route.ts";

export interface ScopeSubject {
  route: Route;
  identity: Identity;
  /** As the route knows it. */
  model: string;
  /** Every one that the call may be sent to. */
  targets: readonly ResolvedTarget[];
}

/** Whoever calls without a key spends the money of the policy's namespace. */
export function namespaceOf({ identity, route }: ScopeSubject): string {
  return identity.anonymous ? (route.config.id.split("/", 1)[0] ?? "") : identity.namespace;
}

const named = (names: string[] | null, name: string | null): boolean => names === null || (name !== null && names.includes(name));

/** For budgets of the call's own namespace. */
export function covers({ scope, expiresAtMs }: BudgetConfig, { identity, model, targets }: ScopeSubject, nowMs: number): boolean {
  if (expiresAtMs !== null && nowMs >= expiresAtMs) return false;
  const key = identity.anonymous ? null : identity.key;
  if (!named(scope.models, model) || !named(scope.apiKeys, key?.id ?? null)) return false;
  if (!named(scope.users, key?.user ?? null) || !named(scope.teams, key?.team ?? null) || !named(scope.roles, key?.role ?? null)) return false;
  if (scope.tags !== null && !(key?.tags ?? []).some((tag) => scope.tags?.includes(tag))) return false;
  return scope.providers === null || targets.some((target) => scope.providers?.includes(target.entry.account.config.id));
}
