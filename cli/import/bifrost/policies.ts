/** Models → RoutingPolicies, under `provider/model` and, where one provider has it, under its name alone. */
import type { Manifests, Spec } from "../manifests.ts";
import { modelNameFrom } from "../names.ts";
import { targetSpecs } from "../target-specs.ts";
import type { Offer } from "./providers.ts";

function targetsOf(offers: readonly Offer[]): Spec[] {
  const scale = offers.some(({ weight }) => weight > 0 && weight < 1) ? 1_000 : 1;
  return targetSpecs(
    offers,
    ({ ref }) => ref,
    ({ weight }) => (offers.length > 1 ? { weight: Math.round(weight * scale) } : {}),
  );
}

export function addPolicies(offers: readonly Offer[], manifests: Manifests): void {
  const providersOf = Map.groupBy(offers, ({ model }) => model);
  for (const group of Map.groupBy(offers, ({ provider, model }) => JSON.stringify([provider, model])).values()) {
    const [first] = group;
    if (first === undefined) continue;
    const { provider, model } = first;
    const isOnly = new Set(providersOf.get(model)?.map((offer) => offer.provider)).size === 1;
    const models = [`${provider}/${model}`, ...(isOnly ? [model] : [])].flatMap((name) => modelNameFrom(name) ?? []);
    manifests.add("RoutingPolicy", `${provider}-${model}`, {
      match: { models },
      routing: { strategy: group.length > 1 ? "Weighted" : "Priority", targets: targetsOf(group) },
    });
  }
}
