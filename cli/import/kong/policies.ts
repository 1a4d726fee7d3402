/** A route with ai-proxy or ai-proxy-advanced → a RoutingPolicy. */
import type { Accounts, ModelRef } from "../accounts.ts";
import { attemptsFrom, matchedModels } from "../bounds.ts";
import { failureNamed } from "../failures.ts";
import { countField, section, timerField } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";
import { targetSpecs } from "../target-specs.ts";
import { pluginParts } from "./plugins.ts";
import type { KongRoute } from "./routes.ts";
import { callParameters, defaultsOf, targetRef } from "./targets.ts";

const strategies: Readonly<Record<string, readonly [string, string]>> = {
  "round-robin": ["Weighted", ""],
  "least-connections": ["RoundRobin", "calls in flight aren't compared"],
  "lowest-latency": ["LeastLatency", ""],
  "lowest-usage": ["Weighted", "usage isn't compared"],
  "consistent-hashing": ["Weighted", "routing.affinity keeps a caller on a target"],
  priority: ["Priority", "the order of the targets is their priority"],
  semantic: ["Weighted", "prompts aren't compared with descriptions"],
};

interface Target {
  ref: ModelRef;
  entry: Setting;
}

function failuresOf(criteria: Setting): ReadonlySet<string> {
  const failures = new Set<string>();
  for (const criterion of criteria.items()) {
    const failure = failureNamed(criterion.text ?? "");
    if (failure !== null) failures.add(failure);
    if (criterion.text === "non_idempotent") criterion.imported("calls to models are always retried");
    else if (failure === null) criterion.notImported("Sluice has no class of failures for it");
    else criterion.imported(`routing.fallbackOn has ${failure}`);
  }
  return failures;
}

function balanced(balancer: Setting): { strategy: string; routing: Spec } {
  const algorithm = balancer.get("algorithm");
  const [strategy, note] = strategies[algorithm.text ?? "round-robin"] ?? ["Weighted", "it has no counterpart"];
  algorithm.mark(
    note === "" ? "Imported" : "Changed",
    [`routing.strategy is ${strategy}`, note].filter(Boolean).join("; "),
  );
  const failures = failuresOf(balancer.get("failover_criteria"));
  const header = balancer.get("hash_on_header");
  const sticky = algorithm.text === "consistent-hashing" && /^[A-Za-z0-9-]{1,64}$/.test(header.text ?? "");
  header.imported(sticky ? "routing.affinity" : "used by consistent-hashing only");
  return {
    strategy,
    routing: {
      ...(failures.size === 0 ? {} : { fallbackOn: [...failures] }),
      ...(sticky ? { affinity: { by: "Header", header: header.text?.toLowerCase() } } : {}),
    },
  };
}

/** Balancer settings that every LLMProvider of the route gets. */
function sharedSettings(balancer: Setting): Spec {
  const timeouts = {
    ...timerField(balancer.get("connect_timeout"), "timeouts.connect", 0.001),
    ...timerField(balancer.get("write_timeout"), "timeouts.write", 0.001),
    ...timerField(balancer.get("read_timeout"), "timeouts.idle", 0.001),
  };
  const retries = balancer.get("retries");
  const retry = attemptsFrom(retries);
  const breaker = {
    ...countField(balancer.get("max_fails"), "circuitBreaker.failureThreshold", 1_000),
    ...timerField(balancer.get("fail_timeout"), "circuitBreaker.openFor", 0.001),
  };
  const fields = { timeouts, retry, circuitBreaker: breaker };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => Object.keys(value).length > 0));
}

/** The weight or priority of one of several targets under this strategy. `strategy`: null for a single target. */
function rankOf({ entry }: Target, index: number, strategy: string | null): Spec {
  const weight = entry.get("weight");
  weight.imported("weight of the target");
  if (strategy === "Weighted") return { weight: weight.number ?? 100 };
  return strategy === "Priority" ? { priority: index + 1 } : {};
}

const callPath = /\/(chat\/completions|completions|embeddings|responses|messages)$/;

/** A path of Kong as a prefix; null if calls come below /v1 or at the root. */
function prefixOf(path: Setting): string | null {
  const text = (path.text ?? "")
    .replace(/^~/, "")
    .replace(/[$^]|\(\?.*$/g, "")
    .replace(callPath, "")
    .replace(/\/v1$/, "")
    .replace(/\/+$/, "");
  const plain = text.toLowerCase();
  if (plain === "" || plain.startsWith("/v1")) {
    path.imported("match.models: calls come to /v1");
    return null;
  }
  if (!/^(\/[a-z0-9]([a-z0-9_.-]*[a-z0-9])?)+$/.test(plain)) {
    path.notImported("match.pathPrefix is a plain path in lower case: name the policy's models in its place");
    return null;
  }
  if (plain === path.text) path.imported("match.pathPrefix");
  else path.changed(`match.pathPrefix is ${plain}`);
  return plain;
}

function matchOf(route: KongRoute, targets: readonly Target[]): Spec {
  const prefixes = route.paths.map(prefixOf).filter((prefix) => prefix !== null);
  const [first, ...others] = [...new Set(prefixes)];
  for (const path of route.paths)
    if (others.some((prefix) => path.text?.toLowerCase().startsWith(prefix) === true))
      path.notImported("a policy has one pathPrefix: copy the policy for this one");
  if (first !== undefined) return { pathPrefix: first };
  return {
    models: matchedModels(
      targets.map(({ entry, ref }) => [entry.get("model", "name").text ?? ref.model, entry.get("model", "name")]),
      route.name,
    ),
  };
}

function loggingOf(settings: readonly Setting[]): Spec {
  const logging: Spec = {};
  for (const setting of settings) {
    const [statistics, payloads] = [setting.get("log_statistics"), setting.get("log_payloads")];
    if (payloads.isTrue) logging["payloads"] = true;
    statistics.imported("logging.statistics: a line for each call");
    payloads.imported("logging.payloads");
  }
  return Object.keys(logging).length === 0 ? {} : { logging };
}

function requestOf(targets: readonly Target[], prompts: Spec): Spec {
  const defaults = targets.length === 0 || targets[0] === undefined ? {} : defaultsOf(targets[0].entry.get("model"));
  for (const { entry } of targets.slice(1))
    for (const name of callParameters) {
      const setting = entry.get("model", "options", name);
      if (JSON.stringify(defaults[name]) === JSON.stringify(setting.number))
        setting.imported(`request.defaults.${name}`);
      else setting.changed("the policy has the parameters of the first target");
    }
  const request = { ...section("defaults", defaults), ...prompts };
  return section("request", request);
}

/** Adds the route's policy. Routes without ai-proxy have none. */
export function addPolicy(route: KongRoute, accounts: Accounts, manifests: Manifests, options: ImportOptions): void {
  const plugin = route.plugins.get("ai-proxy-advanced") ?? route.plugins.get("ai-proxy");
  if (plugin === undefined) return;
  const config = plugin.get("config");
  const balancer = config.get("balancer");
  const shared = sharedSettings(balancer);
  const entries = config.get("targets").isSet ? config.get("targets").items() : [config];
  const targets = entries.flatMap((entry): Target[] => {
    const ref = targetRef(entry, accounts, options, shared);
    return ref === null ? [] : [{ ref, entry }];
  });
  if (targets.length === 0) return;
  const { strategy, routing } = balanced(balancer);
  const match = matchOf(route, targets);
  const { prompts, rest } = pluginParts(route, match["pathPrefix"] !== undefined);
  const effective = targets.length > 1 ? strategy : "Priority";
  const object = manifests.add("RoutingPolicy", route.name, {
    match,
    ...requestOf(targets, prompts),
    routing: {
      strategy: effective,
      targets: targetSpecs(targets, route.name, {
        refOf: ({ ref }) => ref,
        settingOf: ({ entry }) => entry,
        rankOf: (target, index) => rankOf(target, index, targets.length > 1 ? strategy : null),
      }),
      ...routing,
    },
    ...loggingOf([config.get("logging"), ...targets.map(({ entry }) => entry.get("logging"))]),
    ...rest,
  });
  markPlugin(plugin, object.name);
}

function markPlugin(plugin: Setting, policy: string): void {
  for (const name of ["name", "plugin"]) plugin.get(name).imported(`RoutingPolicy ${policy}`);
  for (const name of ["service", "route"]) plugin.get(name).imported("where it applies");
  for (const name of ["instance_name", "enabled", "protocols", "tags", "id", "apiVersion", "kind", "metadata"])
    plugin.get(name).imported("not needed");
  const config = plugin.get("config");
  config
    .get("response_streaming")
    .mark(
      config.get("response_streaming").text === "deny" ? "NotImported" : "Imported",
      "callers choose whether they want a stream",
    );
  for (const name of ["model_name_header", "llm_format", "genai_category", "max_request_body_size", "balancer.slots"])
    config.get(...name.split(".")).imported("not needed");
}
