/** Bifrost: config.json with providers and governance. */
import { Accounts } from "../accounts.ts";
import type { ImportSource } from "../source.ts";
import { addGovernance } from "./governance.ts";
import { addPolicies } from "./policies.ts";
import { offersOf } from "./providers.ts";

const elsewhere: Readonly<Record<string, string>> = {
  client: "Helm values set up the proxies",
  config_store: "Sluice keeps no database",
  encryption_key: "Sluice keeps no database",
  framework: "prices come from the price table and the installation",
  logs_store: "calls are in the log and in the usage ledger",
  mcp: "only calls of models are served",
  plugins: "set cache, guard and audit of the policies",
  vector_store: "set cache.semantic of the policies",
};

export const source: ImportSource = {
  name: "bifrost",
  files: "config.json, with providers and governance",
  convert(documents, manifests, options) {
    const accounts = new Accounts(manifests);
    for (const document of documents) {
      const offers = offersOf(document.get("providers"), accounts, options);
      addPolicies(offers, manifests);
      addGovernance(document.get("governance"), offers, manifests);
      document.get("$schema").imported("not needed");
      if (document.get("providers").isSet)
        for (const [name, why] of Object.entries(elsewhere)) document.get(name).notImported(why);
    }
  },
};
