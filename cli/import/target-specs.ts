/** The targets of a RoutingPolicy. */
import { boundedNumber, takeFirst } from "./bounds.ts";
import type { Spec } from "./manifests.ts";
import { objectNameFrom, uniqueName } from "./names.ts";
import type { Setting } from "./setting.ts";

/** Most targets that a RoutingPolicy can have. */
export const maxTargets = 32;

/** The destination of a target. If `model` is absent, the caller's model is used. */
export interface TargetRef {
  provider: string;
  model?: string | undefined;
}

/** Converts an importer's targets to a policy's. */
export interface TargetForm<T> {
  refOf(target: T): TargetRef;
  /** The setting under which the report describes it. */
  settingOf(target: T): Setting;
  /** Its weight or priority. */
  rankOf(target: T, index: number): Spec;
}

function boundedRank(rank: Spec, setting: Setting): Spec {
  const { weight, priority } = rank;
  if (typeof weight === "number") return { weight: boundedNumber(Math.round(weight), 0, 1_000_000, "weight", setting) };
  if (typeof priority === "number") return { priority: boundedNumber(priority, 1, 1_000, "priority", setting) };
  return rank;
}

/** A second target at the same provider gets a distinct name. `policy`: the name in the report. */
export function targetSpecs<T>(targets: readonly T[], policy: string, form: TargetForm<T>): Spec[] {
  const names = new Set<string>();
  return takeFirst(targets, maxTargets, `targets of the policy for ${policy}`, form.settingOf).map((target, index) => {
    const { provider, model } = form.refOf(target);
    const name = uniqueName(names.has(provider) ? objectNameFrom(`${provider}-${model ?? index}`) : provider, names);
    return {
      ...(name === provider ? {} : { name }),
      provider: { name: provider },
      ...(model === undefined ? {} : { model }),
      ...boundedRank(form.rankOf(target, index), form.settingOf(target)),
    };
  });
}
