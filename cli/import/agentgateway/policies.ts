/** Targets and their settings → a RoutingPolicy. */
import type { ModelRef } from "../accounts.ts";
import { matchedModels, type NamedModel } from "../bounds.ts";
import { section } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import { targetSpecs } from "../target-specs.ts";

export interface ImportedTarget {
  ref: ModelRef;
  setting: Setting;
  weight?: number;
  /** 0 is tried first. */
  priority?: number;
}

export interface PolicyParts {
  request?: Spec;
  /** Other fields of the spec, such as guard and limits. */
  rest?: Spec;
}

const rankOf = ({ weight, priority }: ImportedTarget, isWeighted: boolean, isOnly: boolean): Spec => {
  if (isOnly) return {};
  return isWeighted ? { weight: weight ?? 1 } : { priority: (priority ?? 0) + 1 };
};

/** Models that already have a policy. Two policies can't serve the same model to the same callers. */
const claimed = new WeakMap<Manifests, Set<string>>();

function unclaimed(match: readonly string[], models: readonly NamedModel[], manifests: Manifests): string[] {
  const taken = claimed.get(manifests) ?? new Set<string>();
  claimed.set(manifests, taken);
  for (const [name, setting] of models)
    if (taken.has(name))
      setting?.remark("NotImported", `another policy serves ${name}: give one of them a match.pathPrefix of its own`);
  const free = match.filter((name) => !taken.has(name));
  for (const name of free) taken.add(name);
  return free;
}

/** `models`: the names that callers use. Adds nothing if there are no models or no targets. */
export function addPolicy(
  name: string,
  models: readonly NamedModel[],
  targets: readonly ImportedTarget[],
  { request = {}, rest = {} }: PolicyParts,
  manifests: Manifests,
): void {
  if (targets.length === 0) return;
  const match = unclaimed(matchedModels(models, name), models, manifests);
  if (match.length === 0) return;
  const isWeighted = targets.length > 1 && targets.every(({ priority }) => priority === undefined);
  const several = new Set(targets.map(({ ref }) => ref.model)).size > 1 || match.length === 1;
  const specs = targetSpecs(targets, name, {
    refOf: ({ ref }) => ({ provider: ref.provider, model: several ? ref.model : undefined }),
    settingOf: ({ setting }) => setting,
    rankOf: (target) => rankOf(target, isWeighted, targets.length === 1),
  });
  manifests.add("RoutingPolicy", name, {
    match: { models: match },
    ...section("request", request),
    routing: { strategy: isWeighted ? "Weighted" : "Priority", targets: specs },
    ...rest,
  });
}
