/** Kong: ai-proxy and ai-proxy-advanced in decK files, KongPlugin resources or a single plug-in. */
import { Accounts } from "../accounts.ts";
import type { ImportSource } from "../source.ts";
import { addConsumers } from "./consumers.ts";
import { addPolicy } from "./policies.ts";
import { routesOf } from "./routes.ts";

export const source: ImportSource = {
  name: "kong",
  files:
    "decK files with ai-proxy or ai-proxy-advanced; KongPlugin resources with their Ingress or HTTPRoute; or the plug-in alone",
  convert(documents, manifests, options) {
    const accounts = new Accounts(manifests);
    for (const route of routesOf(documents)) addPolicy(route, accounts, manifests, options);
    for (const document of documents) {
      addConsumers(document, manifests);
      for (const name of ["_format_version", "_info", "_konnect", "_transform", "_comment"])
        document.get(name).imported("not needed");
    }
  },
};
