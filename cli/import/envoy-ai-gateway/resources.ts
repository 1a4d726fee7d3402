/** The resources of an import, by kind and name. */
import { ResourceIndex, resourceName } from "../resource-index.ts";
import type { Setting } from "../setting.ts";

const ignored: Readonly<Record<string, string>> = {
  Gateway: "the chart installs the proxies and their Service",
  GatewayClass: "the chart installs the proxies and their Service",
  GatewayConfig: "Helm values set up the proxies",
  EnvoyProxy: "Helm values set up the proxies",
  BackendTLSPolicy: "certificates of public authorities are trusted; spec.tls of an LLMProvider names others",
  BackendTrafficPolicy: "set limits of the policy, or a Budget",
  QuotaPolicy: "set quota of the LLMProvider's models, or a Budget",
  MCPRoute: "only calls of models are served",
  ClientTrafficPolicy: "Helm values set up the proxies",
  SecurityPolicy: "callers need an ApiKey, or a token of an issuer in Helm's operator.identity",
  HTTPRoute: "only calls of models are served",
};

export class Resources extends ResourceIndex {
  readonly #securityByTarget = this.byTarget("BackendSecurityPolicy", (target) => target.get("name").text ?? "");

  /** The policy that names this backend, or that the backend names. */
  securityOf(backend: Setting): Setting | undefined {
    const named = this.find("BackendSecurityPolicy", backend.get("spec", "backendSecurityPolicyRef", "name").text);
    return named ?? this.#securityByTarget.get(resourceName(backend));
  }

  /** Marks members outside specs, and resources without a counterpart. */
  markRest(): void {
    for (const resource of this.all) {
      const kind = resource.get("kind").text ?? "";
      const why = Object.hasOwn(ignored, kind) ? ignored[kind] : undefined;
      if (why !== undefined) resource.get("spec").notImported(why);
      for (const name of ["apiVersion", "kind", "metadata", "status", "type"])
        resource.get(name).imported("not needed");
    }
  }
}
