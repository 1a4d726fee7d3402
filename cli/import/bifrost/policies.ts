/** Models → RoutingPolicies, for `provider/model` and, if only one provider has the model, for its bare name. */
import { matchedModels } from "../bounds.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { targetSpecs } from "../target-specs.ts";
import type { Offer } from "./providers.ts";

function targetsOf(offers: readonly Offer[], policy: string): Spec[] {
  const scale = offers.some(({ weight }) => weight > 0 && weight < 1) ? 1_000 : 1;
  return targetSpecs(offers, policy, {
    refOf: ({ ref }) => ref,
    settingOf: ({ setting }) => setting,
    rankOf: ({ weight }) => (offers.length > 1 ? { weight: weight * scale } : {}),
  });
}

export function addPolicies(offers: readonly Offer[], manifests: Manifests): void {
  const providersOf = Map.groupBy(offers, ({ model }) => model);
  for (const group of Map.groupBy(offers, ({ provider, model }) => JSON.stringify([provider, model])).values()) {
    const [first] = group;
    if (first === undefined) continue;
    const { provider, model } = first;
    const isOnly = new Set(providersOf.get(model)?.map((offer) => offer.provider)).size === 1;
    const names = [`${provider}/${model}`, ...(isOnly ? [model] : [])];
    const models = matchedModels(
      names.map((name) => [name, first.setting]),
      `${provider}/${model}`,
    );
    if (models.length === 0) continue;
    manifests.add("RoutingPolicy", `${provider}-${model}`, {
      match: { models },
      routing: {
        strategy: group.length > 1 ? "Weighted" : "Priority",
        targets: targetsOf(group, `${provider}/${model}`),
      },
    });
  }
}
