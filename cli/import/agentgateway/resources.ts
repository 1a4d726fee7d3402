/** The resources of an import, by kind and name. */
import { ResourceIndex } from "../resource-index.ts";
import type { Setting } from "../setting.ts";

export const ignored: Readonly<Record<string, string>> = {
  Gateway: "the chart installs the proxies and their Service",
  GatewayClass: "the chart installs the proxies and their Service",
  AgentgatewayParameters: "Helm values set up the proxies",
  ReferenceGrant: "allowedNamespaces of an LLMProvider or RoutingPolicy offers it to other namespaces",
};

const targetKey = (kind: string, name: string): string => `${kind}/${name}`;

export class Resources extends ResourceIndex {
  readonly #policyByTarget = this.byTarget("AgentgatewayPolicy", (target) =>
    targetKey(target.get("kind").text ?? "", target.get("name").text ?? ""),
  );

  /** The first policy that targets a resource. */
  policyOf(kind: string, name: string): Setting | undefined {
    return this.#policyByTarget.get(targetKey(kind, name));
  }
}
