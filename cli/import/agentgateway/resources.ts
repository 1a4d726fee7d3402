/** The resources of an import, by kind and name. */
import type { Setting } from "../setting.ts";

export const ignored: Readonly<Record<string, string>> = {
  Gateway: "the chart installs the proxies and their Service",
  GatewayClass: "the chart installs the proxies and their Service",
  AgentgatewayParameters: "Helm values set up the proxies",
  ReferenceGrant: "allowedNamespaces of an LLMProvider or RoutingPolicy offers it to other namespaces",
};

export const resourceName = (resource: Setting): string => resource.get("metadata", "name").text ?? "";

export class Resources {
  readonly all: Setting[];

  constructor(documents: readonly Setting[]) {
    this.all = documents.flatMap((document) =>
      document.get("kind").text === "List" ? document.get("items").items() : [document],
    );
  }

  of(kind: string): Setting[] {
    return this.all.filter((resource) => resource.get("kind").text === kind);
  }

  find(kind: string, name: string | undefined): Setting | undefined {
    return this.of(kind).find((resource) => resourceName(resource) === name);
  }

  /** The first policy that targets a resource. */
  policyOf(kind: string, name: string): Setting | undefined {
    return this.of("AgentgatewayPolicy").find((policy) =>
      policy
        .get("spec", "targetRefs")
        .items()
        .some((target) => target.get("kind").text === kind && target.get("name").text === name),
    );
  }
}
