/** `spec.discovery` of an LLMProvider, and the models that were found there. Pure. */
import { durationMs } from "../../crds/quantity.ts";
import type { LLMProviderSpec } from "../../crds/types/llm-provider.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import { type DiscoveryConfig, type DiscoveryReading, taken } from "../../proxy/config/discovery.ts";
import { isModelPattern, listsModel, modelPattern } from "../../proxy/config/model-pattern.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import { problem } from "./outcome.ts";
import type { Problem, Verdict } from "./verdict.ts";

export function discoveryOf({ discovery }: LLMProviderSpec): DiscoveryConfig | null {
  if (discovery === undefined) return null;
  const { interval, models, maxModels } = discovery;
  return { intervalMs: durationMs(interval), models: [...models].sort(), most: maxModels };
}

export function checkDiscovery({ type, discovers }: Capabilities): Problem[] {
  if (discovers === true) return [];
  const message = `Sluice can't list the models of type ${type}; take spec.discovery out, and name the models in spec.models`;
  return [problem("Unsupported", message, ["spec", "discovery"])];
}

/** Most models of a provider, declared and discovered. */
const mostModels = 256;

/**
 * Names of discovered models that the object doesn't declare. Until proxies have reported, those that are published
 * count, as long as they are of the same server.
 */
export function discoveredNames(
  config: Pick<ProviderConfig, "id" | "type" | "endpoint">,
  discovery: DiscoveryConfig,
  declared: readonly string[],
  names: readonly string[] | undefined,
  published: ProviderConfig | undefined,
): string[] {
  const same = published?.type === config.type && published.endpoint === config.endpoint;
  const before = same
    ? Object.keys(published.models).filter((name) => published.models[name]?.discovered === true)
    : [];
  const known = new Set(declared);
  return taken(names ?? before, discovery)
    .slice(0, discovery.most)
    .filter((name) => !known.has(name))
    .slice(0, mostModels - known.size);
}

/** Whether a provider may yet turn out to have what a policy names. */
export function mayBeFound({ discovery }: ProviderConfig, name: string): boolean {
  if (discovery === undefined) return false;
  if (!isModelPattern(name)) return listsModel(discovery.models, name);
  const { prefix, suffix } = modelPattern(name);
  return discovery.models.some((model) => {
    if (!isModelPattern(model)) return listsModel([name], model);
    const wide = modelPattern(model);
    const meets = (a: string, b: string): boolean => a.startsWith(b) || b.startsWith(a);
    const ends = (a: string, b: string): boolean => a.endsWith(b) || b.endsWith(a);
    return meets(prefix, wide.prefix) && ends(suffix, wide.suffix);
  });
}

/** The condition of a provider whose models are discovered; null if no proxy has reported on it. */
export function discoveryCondition(readings: readonly DiscoveryReading[]): Verdict["conditions"][number] | null {
  const type = "ModelsDiscovered";
  if (readings.length === 0) return null;
  const failed = readings.find(({ reason }) => reason !== null);
  const best = readings.find(({ models }) => models !== null);
  if (best === undefined)
    return failed === undefined
      ? { type, status: "Unknown", reason: "NotYetKnown", message: "no proxy has read the provider's models yet" }
      : { type, status: "False", reason: "DiscoveryFailed", message: `GET of the provider's models: ${failed.reason}` };
  const count = best.models?.length ?? 0;
  const rest =
    best.matching > count
      ? `; ${best.matching - count} more match: raise spec.discovery.maxModels, or narrow spec.discovery.models`
      : "";
  const message = `${count} of the provider's models match${rest}`;
  if (failed === undefined) return { type, status: "True", reason: "Discovered", message };
  return {
    type,
    status: "False",
    reason: "DiscoveryFailed",
    message: `GET of the provider's models: ${failed.reason}; what was found before stays`,
  };
}
