/** Fallbacks between groups of deployments. */
import { takeFirst } from "../bounds.ts";
import type { Setting } from "../setting.ts";
import { maxTargets } from "../target-specs.ts";
import type { Config } from "./config.ts";

export interface Fallbacks {
  /** Groups after this one, in order, followed through their own fallbacks. */
  of(group: string): string[];
  /** Groups with fallbacks of this kind only. */
  contextWindow: ReadonlyMap<string, string[]>;
  contentPolicy: ReadonlyMap<string, string[]>;
}

const targetOf = (setting: Setting): string | undefined => setting.text ?? setting.get("model").text;

/** The name of a target that was imported. */
function target(setting: Setting, known: ReadonlySet<string>): string[] {
  const name = targetOf(setting);
  if (name === undefined || !known.has(name)) {
    setting.notImported(`no deployment of ${name ?? "this name"} was imported`);
    return [];
  }
  if (setting.isMapping) setting.changed("the target gets the caller's request; other fields are left out");
  else setting.imported("a target of the policy");
  return [name];
}

/** `[{a: [b, c]}]`, or a mapping. */
function listed(setting: Setting | undefined, known: ReadonlySet<string>): Map<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const [group, targets] of setting?.items().flatMap((item) => item.entries()) ?? []) {
    if (group !== "*" && !known.has(group)) targets.notImported(`no deployment of ${group} was imported`);
    else
      lists.set(group, [...(lists.get(group) ?? []), ...targets.items().flatMap((setting) => target(setting, known))]);
  }
  return lists;
}

/**
 * The transitive order, as a group's fallbacks are followed by their own fallbacks. It includes all of the group's own
 * fallbacks, and of the others just enough to exceed the bound, so that the report says that there are more.
 */
function follow(start: string, general: ReadonlyMap<string, string[]>, others: readonly string[]): string[] {
  const order = new Set<string>([start]);
  const visit = (group: string): void => {
    for (const next of general.get(group) ?? []) {
      if (order.has(next) || (group !== start && order.size > maxTargets)) continue;
      order.add(next);
      visit(next);
    }
  };
  visit(start);
  for (const group of others) if (order.size <= maxTargets) order.add(group);
  order.delete(start);
  return [...order];
}

export function fallbacksOf(config: Config, known: ReadonlySet<string>): Fallbacks {
  const both = (name: string): Map<string, string[]> =>
    new Map([
      ...listed(config.find(["litellm_settings", name]), known),
      ...listed(config.find(["router_settings", name]), known),
    ]);
  const general = both("fallbacks");
  const everywhere = config.find(["litellm_settings", "default_fallbacks"], ["router_settings", "default_fallbacks"]);
  everywhere?.imported("targets of every policy");
  const defaults = takeFirst(everywhere?.items() ?? [], maxTargets, "targets of a policy", (setting) => setting);
  const named = defaults.flatMap((setting) => setting.text ?? []).filter((group) => known.has(group));
  const others = [...(general.get("*") ?? []), ...named];
  return {
    of: (group) => follow(group, general, others),
    contextWindow: both("context_window_fallbacks"),
    contentPolicy: both("content_policy_fallbacks"),
  };
}
