/** The AI Gateway operations guide: ai-gateway-config.yaml and rbac-config.yaml, as ConfigMaps or plain files. */
import { Accounts } from "../accounts.ts";
import type { ImportSource } from "../source.ts";
import { addBudgets } from "./budgets.ts";
import { addPolicies } from "./policies.ts";
import { providersOf } from "./providers.ts";
import { addAccess } from "./rbac.ts";

export const source: ImportSource = {
  name: "ai-gateway",
  files: "ai-gateway-config.yaml and rbac-config.yaml of the AI Gateway operations guide, as ConfigMaps or plain files",
  convert(documents, manifests, options) {
    const accounts = new Accounts(manifests);
    const providers = documents.flatMap((document) => providersOf(document, accounts, options));
    const access = addAccess(documents, manifests);
    addPolicies(documents, providers, manifests, access);
    addBudgets(documents, manifests);
  },
};
