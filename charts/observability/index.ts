/** Every dashboard that the chart ships. */
import { compliance } from "./compliance.ts";
import { cost } from "./cost.ts";
import type { Dashboard } from "./dashboard.ts";
import { operator } from "./operator.ts";
import { overview } from "./overview.ts";
import { providerHealth } from "./provider-health.ts";

export const dashboards: Readonly<Record<string, Dashboard>> = {
  overview,
  cost,
  providers: providerHealth,
  compliance,
  operator,
};
