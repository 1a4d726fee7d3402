/** `routing`, cache, limits and masking → one RoutingPolicy for each model. */
import { matchedModels } from "../bounds.ts";
import { failureNamed } from "../failures.ts";
import { countField, firstSet, section, timerField } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import { targetSpecs } from "../target-specs.ts";
import { limitsIn } from "./budgets.ts";
import { guardOf } from "./guard.ts";
import type { GuideProvider } from "./providers.ts";

const strategies: Readonly<Record<string, string>> = {
  priority: "Priority",
  round_robin: "RoundRobin",
  weighted: "Weighted",
  weighted_round_robin: "Weighted",
  least_latency: "LeastLatency",
  latency: "LeastLatency",
  least_cost: "LeastCost",
  cost: "LeastCost",
  cost_optimized: "LeastCost",
};

/** Groups names by model: Azure spells them without the dot. */
function groupsOf(names: Iterable<string>): string[][] {
  return [...Map.groupBy(names, (name) => name.replaceAll(".", "")).values()];
}

/** Model → the providers that have it. */
type Offers = ReadonlyMap<string, readonly GuideProvider[]>;

function offersOf(providers: readonly GuideProvider[]): Offers {
  const offers = new Map<string, GuideProvider[]>();
  for (const provider of providers)
    for (const name of provider.models.keys()) {
      const others = offers.get(name);
      if (others === undefined) offers.set(name, [provider]);
      else others.push(provider);
    }
  return offers;
}

interface Routing {
  strategy: string;
  /** Whether providers without the model answer as the last resort, with a model of their own. */
  hasFallback: boolean;
  spec: Spec;
}

function fallbackOf(routing: Setting): Spec {
  const enabled = firstSet(routing, "fallback_enabled", "fallback.enabled");
  if (enabled.isSet && !enabled.isTrue) {
    enabled.imported("routing.fallbackOn is empty");
    return { fallbackOn: [] };
  }
  enabled.imported("routing.fallbackOn");
  const failures = new Set<string>();
  for (const error of firstSet(routing, "fallback_on_errors", "fallback.on_errors").items()) {
    const failure = failureNamed(error.text ?? "");
    if (failure === null) error.notImported("Sluice has no class of failures for it");
    else {
      failures.add(failure);
      error.imported(`routing.fallbackOn has ${failure}`);
    }
  }
  return failures.size === 0 ? {} : { fallbackOn: [...failures] };
}

function routingOf(document: Setting): Routing {
  const routing = document.get("routing");
  const setting = firstSet(routing, "strategy", "algorithm");
  const strategy = strategies[(setting.text ?? "priority").toLowerCase().replaceAll("-", "_")] ?? "Priority";
  setting.imported(`routing.strategy is ${strategy}`);
  const latency = firstSet(routing, "least_latency", "latency");
  const affinity = firstSet(routing, "session_affinity", "sticky_sessions");
  const isSticky = affinity.isTrue || affinity.get("enabled").isTrue;
  if (isSticky) affinity.changed("routing.affinity keeps a user on a target");
  const fallback = fallbackOf(routing);
  return {
    strategy,
    hasFallback: !(Array.isArray(fallback["fallbackOn"]) && fallback["fallbackOn"].length === 0),
    spec: {
      ...fallback,
      ...section("leastLatency", {
        ...timerField(firstSet(latency, "window", "window_size"), "routing.leastLatency.window"),
        ...countField(firstSet(latency, "sample_size", "samples"), "routing.leastLatency.samples", 1_000),
      }),
      ...timerField(firstSet(routing, "latency_threshold", "slow_threshold"), "routing.slowAfter"),
      ...(isSticky ? { affinity: { by: "User" } } : {}),
    },
  };
}

function rankOf({ priority, weight }: GuideProvider, strategy: string): Spec {
  if (strategy === "Priority") return { priority };
  return strategy === "Weighted" ? { weight: weight ?? 1 } : {};
}

/** Providers with the model, and by priority those that answer in its place if all of them fail. */
function targetsOf(
  group: readonly string[],
  providers: readonly GuideProvider[],
  offers: Offers,
  routing: Routing,
): Spec[] {
  const having = new Set(group.flatMap((name) => offers.get(name) ?? []));
  const own = having.size === 1 ? [...having] : providers.filter((provider) => having.has(provider));
  const lowest = own.reduce((most, { priority }) => Math.max(most, priority), Number.NEGATIVE_INFINITY);
  const useLater = routing.hasFallback && routing.strategy === "Priority";
  const later = useLater ? providers.filter(({ priority }) => priority > lowest) : [];
  const targets = [...own, ...later].flatMap((provider) => {
    const name = group.find((model) => provider.models.has(model)) ?? [...provider.models.keys()][0] ?? "";
    const ref = provider.models.get(name);
    return ref === undefined ? [] : [{ provider, ref }];
  });
  return targetSpecs(targets, group[0] ?? "", {
    refOf: ({ ref }) => ref,
    settingOf: ({ provider }) => provider.setting,
    rankOf: ({ provider }) => rankOf(provider, routing.strategy),
  });
}

const keyParts: Readonly<Record<string, string>> = {
  model: "Model",
  prompt: "Prompt",
  prompt_hash: "Prompt",
  temperature: "Temperature",
  top_p: "TopP",
  max_tokens: "MaxTokens",
  seed: "Seed",
  user: "User",
};

/** `temperature: 0` and `max_tokens < 1000`, as members or texts. */
function conditionsOf(conditions: Setting): Spec {
  const joined = conditions
    .items()
    .flatMap((condition) =>
      condition.text === undefined ? condition.entries() : [[condition.text, condition] as const],
    );
  const when: Spec = {};
  for (const [name, setting] of joined) {
    const text = `${name} ${setting.text ?? ""}`;
    const temperature = /temperature\W*([0-9.]+)/.exec(text)?.[1];
    const tokens = /max_tokens\W*([0-9]+)/.exec(text)?.[1];
    if (temperature !== undefined) when["temperatureAtMost"] = String(Number(temperature));
    if (tokens !== undefined) when["maxTokensBelow"] = Number(tokens);
    if (temperature !== undefined || tokens !== undefined) setting.imported("cache.when");
  }
  return when;
}

function cacheOf(document: Setting): Spec {
  const cache = firstSet(document, "cache", "caching");
  if (!cache.isMapping) return {};
  const enabled = cache.get("enabled");
  enabled.imported("spec.cache");
  if (enabled.isSet && !enabled.isTrue) {
    cache.imported("off");
    return {};
  }
  const components = firstSet(cache, "key_components", "key", "cache_key");
  const parts = components.texts.flatMap((name) => keyParts[name.toLowerCase()] ?? []);
  if (parts.includes("Model") && parts.includes("Prompt")) components.imported("cache.key");
  const when = conditionsOf(firstSet(cache, "conditions", "cache_conditions"));
  return {
    cache: {
      ...timerField(cache.get("ttl"), "cache.ttl"),
      ...countField(firstSet(cache, "max_entries", "max_size"), "cache.maxEntries", 1_000_000),
      ...(parts.includes("Model") && parts.includes("Prompt") ? { key: [...new Set(parts)] } : {}),
      ...section("when", when),
    },
  };
}

/** Limits of roles go to policies. All other limits apply to all models together and become Budgets. */
function roleLimits(document: Setting): Spec {
  const limits = limitsIn(firstSet(document, "rate_limits", "rate_limiting").get("per_role"));
  if (limits.length === 0) return {};
  firstSet(document, "rate_limits", "rate_limiting")
    .get("per_role")
    .changed("limits of each policy, and not of all together");
  return { limits: limits.map((limit) => ({ per: "Role", ...limit })) };
}

export function addPolicies(
  documents: readonly Setting[],
  providers: readonly GuideProvider[],
  manifests: Manifests,
  access: Spec,
): void {
  const document = documents.find((document) => document.get("providers").isSet);
  if (document === undefined) return;
  const routing = routingOf(document);
  const rest = { ...access, ...guardOf(documents), ...cacheOf(document), ...roleLimits(document) };
  const offers = offersOf(providers);
  for (const group of groupsOf(offers.keys())) {
    const policy = group[0] ?? "";
    const models = matchedModels(
      group.map((name) => [name, offers.get(name)?.[0]?.setting]),
      policy,
    );
    const targets = targetsOf(group, providers, offers, routing);
    if (models.length === 0 || targets.length === 0) continue;
    manifests.add("RoutingPolicy", models[0] ?? "", {
      match: { models },
      routing: { strategy: routing.strategy, targets, ...routing.spec },
      ...rest,
    });
  }
}
