/** What a policy's copies may cost in a day, as a budget that covers nothing else. */
import type { BudgetConfig } from "../config/budget.ts";
import type { ShadowConfig } from "../config/route.ts";
import { everyCall } from "./role-limits.ts";

export function shadowBudget(route: string, { nanoUsdPerDay }: ShadowConfig): BudgetConfig | null {
  if (nanoUsdPerDay === null) return null;
  return {
    // No Budget object can have this name.
    id: `${route}#shadow`,
    amountNanoUsd: nanoUsdPerDay,
    period: "Daily",
    timeZone: "UTC",
    namespace: route.slice(0, route.indexOf("/")),
    scope: everyCall,
    per: null,
    enforcement: "Hard",
    throttle: null,
    limits: [],
    expiresAtMs: null,
    onStateLoss: "deny",
    seeds: [],
  };
}
