/** Whether a namespace's providers may be at private addresses: in a shared gateway, that isn't up to tenants. */
import { type ParsedObject, problem } from "./outcome.ts";
import type { Problem } from "./verdict.ts";
import type { CompileSettings } from "./world.ts";

export function mayBePrivate(namespace: string, settings: Pick<CompileSettings, "privateEndpointNamespaces">): boolean {
  const permitted = settings.privateEndpointNamespaces ?? ["*"];
  return permitted.includes("*") || permitted.includes(namespace);
}

export function checkPrivate(provider: ParsedObject<"LLMProvider">, settings: CompileSettings): Problem[] {
  const { namespace } = provider.meta;
  if (!provider.spec.allowPrivateEndpoint || mayBePrivate(namespace, settings)) return [];
  const message = `providers of namespace ${namespace} may not be at private addresses in this installation; the platform team can allow it in operator.privateEndpointNamespaces`;
  return [problem("PrivateEndpointNotPermitted", message, ["spec", "allowPrivateEndpoint"])];
}
