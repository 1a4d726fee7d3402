import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";

/** The facts about providers that routes need. */
export interface ProviderView {
  /** Providers in the config, in their current or last good form. */
  live: ReadonlyMap<string, ProviderConfig>;
  /** Grants by provider id; absent for a provider whose object is invalid: namespaces that used it before still may. */
  grants: ReadonlyMap<string, LLMProviderSpec["allowedNamespaces"]>;
  capabilities: Readonly<Record<string, Capabilities>>;
  /** Every provider object that exists, valid or not. */
  existing: ReadonlySet<string>;
}
