/** A role's daily limits, as the limits and the budget that admission counts. */
import type { BudgetConfig } from "../config/budget.ts";
import type { LimitConfig } from "../config/limits.ts";
import type { RoleConfig } from "../config/roles.ts";

const dayMs = 86_400_000;

export function roleLimits({ limits }: RoleConfig): LimitConfig[] {
  const daily = (of: "Requests" | "Tokens", amount: number | null | undefined): LimitConfig[] =>
    amount === null || amount === undefined ? [] : [{ per: "User", of, amount, windowMs: dayMs, onStateLoss: "allow" }];
  return [...daily("Requests", limits?.requestsPerDay), ...daily("Tokens", limits?.tokensPerDay)];
}

export const everyCall: BudgetConfig["scope"] = {
  users: null,
  teams: null,
  roles: null,
  tags: null,
  models: null,
  providers: null,
  apiKeys: null,
  selected: false,
};

/** Returns a role's cost limit as a hard daily budget for each of its users. */
export function roleBudget(name: string, { limits }: RoleConfig): BudgetConfig | null {
  if (limits === null || limits.nanoUsdPerDay === null) return null;
  const terms = {
    amountNanoUsd: limits.nanoUsdPerDay,
    period: "Daily",
    timeZone: "UTC",
    per: "User",
    enforcement: "Hard",
    onStateLoss: "deny",
  } as const;
  return {
    id: `role ${name}`,
    namespace: "",
    scope: everyCall,
    ...terms,
    throttle: null,
    limits: [],
    expiresAtMs: null,
    seeds: [],
  };
}
