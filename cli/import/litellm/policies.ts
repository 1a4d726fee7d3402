/** Groups of deployments → RoutingPolicies. */
import { matchedModels, type NamedModel } from "../bounds.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { modelNameFrom } from "../names.ts";
import type { Setting } from "../setting.ts";
import { targetSpecs } from "../target-specs.ts";
import type { Config } from "./config.ts";
import type { Deployment } from "./deployments.ts";
import { type Fallbacks, fallbacksOf } from "./fallbacks.ts";

const ordinary = ["RateLimited", "Unavailable", "Timeout", "ServerError"];

interface Strategy {
  name: "Weighted" | "LeastLatency" | "LeastCost" | "RoundRobin";
  /** How it differs from the original; empty if it doesn't. */
  note: string;
}

const strategies: Readonly<Record<string, Strategy>> = {
  "simple-shuffle": { name: "Weighted", note: "" },
  weighted: { name: "Weighted", note: "" },
  "latency-based-routing": { name: "LeastLatency", note: "" },
  "lowest-latency": { name: "LeastLatency", note: "" },
  "cost-based-routing": { name: "LeastCost", note: "" },
  "lowest-cost": { name: "LeastCost", note: "" },
  "least-busy": { name: "RoundRobin", note: "calls in flight aren't compared" },
  "usage-based-routing": { name: "Weighted", note: "usage isn't compared; quotas move traffic to other targets" },
  "usage-based-routing-v2": { name: "Weighted", note: "usage isn't compared; quotas move traffic to other targets" },
};

function strategyOf(config: Config): Strategy {
  const setting = config.find(["router_settings", "routing_strategy"]);
  const strategy = strategies[setting?.text ?? "simple-shuffle"] ?? {
    name: "Weighted",
    note: "this strategy has no counterpart",
  };
  setting?.mark(
    strategy.note === "" ? "Imported" : "Changed",
    ["routing.strategy of each policy with several deployments", strategy.note].filter(Boolean).join("; "),
  );
  return strategy;
}

/** Group → the other names that callers use for it. */
function aliasesOf(config: Config, groups: ReadonlySet<string>): Map<string, NamedModel[]> {
  const aliases = new Map<string, NamedModel[]>();
  const settings = [
    config.find(["router_settings", "model_group_alias"]),
    config.find(["litellm_settings", "model_alias_map"]),
    config.find(["general_settings", "model_alias_map"]),
  ];
  for (const [alias, setting] of settings.flatMap((setting) => setting?.entries() ?? [])) {
    const group = setting.text ?? setting.get("model").text ?? "";
    const name = modelNameFrom(alias);
    if (!groups.has(group)) setting.notImported(`no deployment of ${group} was imported`);
    else if (name === null || groups.has(alias)) setting.notImported("the name is taken by a group, or is none");
    else {
      const others = aliases.get(group);
      if (others === undefined) aliases.set(group, [[alias, setting]]);
      else others.push([alias, setting]);
      setting.imported(`match.models of the policy for ${group}`);
    }
  }
  return aliases;
}

type Rank = "Priority" | Strategy["name"];

interface Order {
  strategy: Rank;
  /** `rank`: 0 for the group's own deployments, then by fallback. */
  place(deployment: Deployment, rank: number): Spec;
}

/**
 * With fallbacks, only weights keep the group's own deployments first; a target with weight 0 is used if all others
 * fail.
 */
function orderOf(own: readonly Deployment[], hasFallbacks: boolean, strategy: Strategy): Order {
  if (own.some(({ order }) => order !== null)) {
    const lastOrder = Math.max(...own.map(({ order }) => order ?? 1));
    return {
      strategy: "Priority",
      place: ({ order }, rank) => ({ priority: rank === 0 ? (order ?? 1) : lastOrder + rank }),
    };
  }
  if (own.length === 1)
    return hasFallbacks
      ? { strategy: "Priority", place: (_, rank) => ({ priority: rank + 1 }) }
      : { strategy: "Priority", place: () => ({}) };
  if (hasFallbacks || strategy.name === "Weighted")
    return {
      strategy: "Weighted",
      place: ({ weight }, rank) => ({ weight: rank > 0 ? 0 : weightFrom(weight, own) }),
    };
  return { strategy: strategy.name, place: () => ({}) };
}

function weightFrom(weight: number | null, own: readonly Deployment[]): number {
  const least = Math.min(...own.map((deployment) => deployment.weight ?? 1).filter((value) => value > 0));
  const scale = least < 1 ? 1_000 : 1;
  return (weight ?? 1) * scale;
}

const targetsOf = (ranked: readonly (readonly [Deployment, number])[], group: string, order: Order): Spec[] =>
  targetSpecs(ranked, group, {
    refOf: ([{ ref }]) => ref,
    settingOf: ([{ entry }]) => entry,
    rankOf: ([deployment, rank]) => order.place(deployment, rank),
  });

function fallbackOn(group: string, ranked: readonly unknown[], fallbacks: Fallbacks): string[] | undefined {
  const special = [
    ...(fallbacks.contextWindow.has(group) ? ["ContextLength"] : []),
    ...(fallbacks.contentPolicy.has(group) ? ["ContentPolicy"] : []),
  ];
  const general = fallbacks.of(group).length > 0;
  if (ranked.length < 2 || (!general && special.length === 0)) return undefined;
  return [...ordinary, ...(general ? ["Unauthorized"] : []), ...special];
}

/** The deployments' defaults; where they differ, those of the first deployment. */
function requestOf(own: readonly Deployment[]): Spec {
  const [first] = own;
  const defaults = first?.defaults ?? {};
  for (const { entry, defaults: others } of own.slice(1))
    for (const [name, value] of Object.entries(others))
      if (JSON.stringify(defaults[name]) !== JSON.stringify(value))
        entry.get("litellm_params", name).changed("the policy has the value of the group's first deployment");
  return Object.keys(defaults).length === 0 ? {} : { request: { defaults } };
}

interface Plan {
  groups: ReadonlyMap<string, Deployment[]>;
  fallbacks: Fallbacks;
  aliases: ReadonlyMap<string, NamedModel[]>;
  strategy: Strategy;
  extras: Spec;
}

function policyOf(group: string, own: readonly Deployment[], plan: Plan): Spec | null {
  const name = modelNameFrom(group);
  const [first] = own;
  if (name === null || first === undefined) return null;
  const { fallbacks } = plan;
  const later = [
    ...fallbacks.of(group),
    ...(fallbacks.contextWindow.get(group) ?? []),
    ...(fallbacks.contentPolicy.get(group) ?? []),
  ];
  const next = [...new Set(later)].filter((other) => other !== group);
  const ranked = [
    ...own.map((deployment) => [deployment, 0] as const),
    ...next.flatMap((other, index) =>
      (plan.groups.get(other) ?? []).map((deployment) => [deployment, index + 1] as const),
    ),
  ];
  const order = orderOf(own, next.length > 0, plan.strategy);
  const failures = fallbackOn(group, ranked, fallbacks);
  return {
    match: { models: matchedModels([[name, first.entry], ...(plan.aliases.get(group) ?? [])], group) },
    ...requestOf(own),
    routing: {
      strategy: order.strategy,
      targets: targetsOf(ranked, group, order),
      ...(failures === undefined ? {} : { fallbackOn: failures }),
    },
    ...plan.extras,
  };
}

function markGroup(setting: Setting, group: string, policy: string): void {
  const name = modelNameFrom(group);
  const same = name === group;
  setting.mark(same ? "Imported" : "Changed", `RoutingPolicy ${policy}${same ? "" : `; callers write ${name}`}`);
}

/** `extras`: parts that every policy gets, such as cache and guard. */
export function addPolicies(
  deployments: readonly Deployment[],
  config: Config,
  manifests: Manifests,
  extras: Spec,
): void {
  const groups = Map.groupBy(deployments, ({ group }) => group);
  const groupNames = new Set(groups.keys());
  const plan: Plan = {
    groups,
    fallbacks: fallbacksOf(config, groupNames),
    aliases: aliasesOf(config, groupNames),
    strategy: strategyOf(config),
    extras,
  };
  for (const [group, own] of groups) {
    const spec = policyOf(group, own, plan);
    if (spec === null) {
      for (const { entry } of own) entry.get("model_name").notImported("nothing is left of the name as a model's name");
      continue;
    }
    const { name } = manifests.add("RoutingPolicy", group, spec);
    for (const { entry } of own) markGroup(entry.get("model_name"), group, name);
  }
}
