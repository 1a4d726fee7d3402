/** The targets of a RoutingPolicy. */
import type { Spec } from "./manifests.ts";
import { objectNameFrom, uniqueName } from "./names.ts";

/** Most targets that a RoutingPolicy can have. */
export const maxTargets = 32;

/** Where a target leads; without a model, to the one that the caller asks for. */
export interface TargetRef {
  provider: string;
  model?: string | undefined;
}

/** A second target at the same provider gets a name of its own. `rest`: further fields, such as the weight. */
export function targetSpecs<T>(
  targets: readonly T[],
  refOf: (target: T) => TargetRef,
  rest: (target: T, index: number) => Spec,
): Spec[] {
  const names = new Set<string>();
  return targets.slice(0, maxTargets).map((target, index) => {
    const { provider, model } = refOf(target);
    const name = uniqueName(names.has(provider) ? objectNameFrom(`${provider}-${model ?? index}`) : provider, names);
    return {
      ...(name === provider ? {} : { name }),
      provider: { name: provider },
      ...(model === undefined ? {} : { model }),
      ...rest(target, index),
    };
  });
}
