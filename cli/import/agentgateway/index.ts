/** agentgateway: its configuration file, and its resources in a cluster. */
import { Accounts } from "../accounts.ts";
import type { ImportSource } from "../source.ts";
import { addResources } from "./kubernetes.ts";
import { addLlm } from "./llm.ts";
import { addRoutes } from "./routes.ts";

export const source: ImportSource = {
  name: "agentgateway",
  files:
    "config.yaml with llm, binds or routes; or AgentgatewayBackend, AgentgatewayModel, AgentgatewayPolicy, HTTPRoute and Secret resources",
  convert(documents, manifests, options) {
    const context = { accounts: new Accounts(manifests), manifests, options };
    const isResource = (kind: string | undefined): boolean => kind !== undefined;
    for (const config of documents.filter((document) => !isResource(document.get("kind").text))) {
      addLlm(config.get("llm"), context.accounts, manifests, options);
      addRoutes(config, context);
      config.get("config").notImported("Helm values set up the proxies, their logs, metrics and traces");
      for (const name of ["mcp", "backends", "ui"]) config.get(name).notImported("only calls of models are served");
    }
    addResources(
      documents.filter((document) => isResource(document.get("kind").text)),
      context,
    );
  },
};
