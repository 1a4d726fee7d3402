/** LiteLLM: config.yaml, and tables of its database. */
import { Accounts } from "../accounts.ts";
import type { ImportSource } from "../source.ts";
import { addBudgets } from "./budgets.ts";
import { Config, isConfig } from "./config.ts";
import { deploymentsOf } from "./deployments.ts";
import { addGeneral, alertsOf } from "./general.ts";
import { guardOf } from "./guardrails.ts";
import { addPolicies } from "./policies.ts";
import { cacheOf } from "./response-cache.ts";
import { addTables } from "./tables.ts";

export const source: ImportSource = {
  name: "litellm",
  files:
    "config.yaml and the files that it includes; LiteLLM_VerificationToken, LiteLLM_TeamTable, LiteLLM_UserTable and LiteLLM_BudgetTable as JSON or CSV",
  convert(documents, manifests, options) {
    const config = new Config(documents.filter(isConfig), options);
    const deployments = deploymentsOf(config, new Accounts(manifests));
    addPolicies(deployments, config, manifests, { ...guardOf(config), ...cacheOf(config, deployments) });
    const alerts = alertsOf(config, manifests);
    addBudgets(config, manifests, alerts);
    addGeneral(config, manifests);
    addTables(
      documents.filter((document) => !isConfig(document)),
      manifests,
      alerts,
    );
  },
};
