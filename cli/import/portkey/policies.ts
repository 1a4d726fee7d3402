/** A config → a RoutingPolicy under a separate path. Callers choose it by base URL instead of a header. */
import type { Accounts, ModelRef } from "../accounts.ts";
import { attemptsFrom } from "../bounds.ts";
import { failureNamed } from "../failures.ts";
import { section, timerField } from "../fields.ts";
import type { Manifests, Spec } from "../manifests.ts";
import { objectNameFrom } from "../names.ts";
import type { Setting } from "../setting.ts";
import type { ImportOptions } from "../source.ts";
import { targetSpecs } from "../target-specs.ts";
import { eitherCase, targetRef } from "./targets.ts";

interface Target {
  setting: Setting;
  ref: ModelRef;
  weight: number | null;
}

/** Retries and time limits; those of the target come before those of the config. */
function settingsOf(target: Setting, config: Setting): Spec {
  const timeouts = (place: Setting): Spec => {
    const timer = timerField(eitherCase(place, "request_timeout"), "timeouts.response and timeouts.firstToken", 0.001);
    const [value] = Object.values(timer);
    return value === undefined ? {} : { response: value, firstToken: value };
  };
  const retry = (place: Setting): Spec => {
    const attempts = place.get("retry", "attempts");
    eitherCase(place.get("retry"), "on_status_codes").changed("temporary failures are retried, whatever their status");
    return attemptsFrom(attempts);
  };
  return {
    ...section("timeouts", { ...timeouts(config), ...timeouts(target) }),
    ...section("retry", { ...retry(config), ...retry(target) }),
  };
}

/** Flattens nested targets into one list. */
function targetsOf(setting: Setting, config: Setting, accounts: Accounts, options: ImportOptions): Target[] {
  const nested = setting.get("targets");
  if (nested.isSet) {
    const mode = setting.get("strategy", "mode");
    if (setting !== config) mode.changed("nested targets became one list");
    return nested.items().flatMap((target) => targetsOf(target, config, accounts, options));
  }
  const ref = targetRef(setting, accounts, options, settingsOf(setting, config));
  const weight = setting.get("weight");
  weight.imported("weight of the target");
  return ref === null ? [] : [{ setting, ref, weight: weight.number ?? null }];
}

function fallbackOn(codes: Setting): string[] {
  const failures = codes.items().flatMap((code) => {
    const failure = failureNamed(code.text ?? "");
    if (failure === null) code.notImported("Sluice has no class of failures for it");
    else code.imported(`routing.fallbackOn has ${failure}`);
    return failure ?? [];
  });
  return failures.length > 0
    ? [...new Set(failures)]
    : ["RateLimited", "Unavailable", "Timeout", "ServerError", "Unauthorized"];
}

function routingOf(name: string, config: Setting, targets: readonly Target[]): Spec {
  const mode = config.get("strategy", "mode");
  const codes = eitherCase(config.get("strategy"), "on_status_codes");
  const isWeighted = mode.text === "loadbalance" && targets.length > 1;
  if (mode.text === "conditional")
    mode.changed("the first target that works answers: routing.rules choose by tags, roles and headers of the caller");
  else mode.imported(`routing.strategy is ${isWeighted ? "Weighted" : "Priority"}`);
  const scale = targets.some(({ weight }) => weight !== null && weight > 0 && weight < 1) ? 1_000 : 1;
  const rankOf = (weight: number | null, index: number): Spec => {
    if (isWeighted) return { weight: (weight ?? 1) * scale };
    return targets.length > 1 ? { priority: index + 1 } : {};
  };
  const isFallback = mode.text === "fallback" || codes.isSet;
  return {
    strategy: isWeighted ? "Weighted" : "Priority",
    targets: targetSpecs(targets, name, {
      refOf: ({ ref }) => ref,
      settingOf: ({ setting }) => setting,
      rankOf: ({ weight }, index) => rankOf(weight, index),
    }),
    ...(isFallback ? { fallbackOn: fallbackOn(codes) } : {}),
  };
}

const callers = new Set(["model", "messages", "stream", "input", "prompt"]);

/** Parameters that the config sets, whatever the caller sends. */
function requestOf(config: Setting, [first, ...others]: readonly Target[]): Spec {
  const overrides: Spec = {};
  const places = [
    eitherCase(config, "override_params"),
    ...(first === undefined || first.setting === config ? [] : [eitherCase(first.setting, "override_params")]),
  ];
  for (const [name, setting] of places.flatMap((place) => place.entries())) {
    if (name !== "model" && callers.has(name)) setting.notImported("it belongs to the caller");
    if (callers.has(name)) continue;
    overrides[name] = setting.value;
    setting.imported(`request.overrides.${name}`);
  }
  for (const { setting } of others)
    for (const [name, value] of eitherCase(setting, "override_params").entries())
      if (!callers.has(name)) value.changed("the policy has the parameters of the first target");
  return section("request", section("overrides", overrides));
}

function cacheOf(config: Setting, targets: readonly Target[]): Spec {
  const cache = [config, ...targets.map(({ setting }) => setting)]
    .map((place) => place.get("cache"))
    .find((setting) => setting.isSet);
  if (cache === undefined) return {};
  const mode = cache.isMapping ? cache.get("mode") : cache;
  if (mode.text === "semantic")
    mode.changed("calls must be equal: set cache.semantic with an embeddings model and a threshold");
  else mode.imported("cache of the policy");
  return { cache: timerField(eitherCase(cache, "max_age"), "cache.ttl") };
}

export function addPolicy(
  name: string,
  config: Setting,
  accounts: Accounts,
  manifests: Manifests,
  options: ImportOptions,
): void {
  const targets = targetsOf(config, config, accounts, options);
  if (targets.length === 0) return;
  const prefix = objectNameFrom(name, "portkey");
  manifests.add("RoutingPolicy", prefix, {
    match: { pathPrefix: `/${prefix}` },
    ...requestOf(config, targets),
    routing: routingOf(name, config, targets),
    ...cacheOf(config, targets),
  });
}
