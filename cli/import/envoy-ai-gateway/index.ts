/** Envoy AI Gateway: AIGatewayRoute, AIServiceBackend, BackendSecurityPolicy, Backend, and the Secrets that they name. */
import { Accounts } from "../accounts.ts";
import type { ImportSource } from "../source.ts";
import { Resources } from "./resources.ts";
import { addRoute } from "./routes.ts";

export const source: ImportSource = {
  name: "envoy-ai-gateway",
  files:
    "AIGatewayRoute, AIServiceBackend, BackendSecurityPolicy, Backend and Secret resources, as kubectl get -o yaml prints them",
  convert(documents, manifests) {
    const resources = new Resources(documents);
    const accounts = new Accounts(manifests);
    for (const route of resources.of("AIGatewayRoute")) addRoute(route, resources, accounts, manifests);
    resources.markRest();
  },
};
