/** RoutingPolicy → RouteConfig, given the live providers. */
import { durationMs } from "../../crds/quantity.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import { type CacheConfig, cacheKeyPart } from "../../proxy/config/cache.ts";
import { isModelPattern, modelsNamed } from "../../proxy/config/model-pattern.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig, RuleConfig, TargetConfig } from "../../proxy/config/route.ts";
import { compileAccess, notResident, warnUnrecorded } from "./access.ts";
import { type CanaryPlan, compileCanary } from "./canary.ts";
import { mayBeFound } from "./discovery.ts";
import { coverage, granted } from "./grants.ts";
import { compileGuard } from "./guard.ts";
import { compileLimits, compileSessionTime } from "./limits.ts";
import { countingOf } from "./object-alerts.ts";
import { isError, own, type ParsedObject, problem } from "./outcome.ts";
import type { ProviderView } from "./provider-view.ts";
import { compileRules, warnUnreachable } from "./rules.ts";
import { compileSemanticCache } from "./semantic-cache.ts";
import { checkTargetParameters } from "./target-parameters.ts";
import { checkTenancy } from "./tenancy.ts";
import type { Problem } from "./verdict.ts";
import type { CanaryFact, CompileSettings, World } from "./world.ts";

export interface CompiledRoute {
  config: RouteConfig;
  /** What the judge of its canary needs; null if it has none. */
  canary: CanaryPlan | null;
  accepted: Problem[];
  resolvedRefs: Problem[];
  /** Whether the access rules are valid, whatever else is wrong; otherwise those of the last good form apply. */
  accessSettled: boolean;
}

type TargetSpec = RoutingPolicySpec["routing"]["targets"][number];

const targetName = (target: TargetSpec): string => target.name ?? target.provider.name;

/** Models that a request can call through a target, or null if that is up to the caller. */
function requestedModels(spec: RoutingPolicySpec): string[] | null {
  const forced = spec.request?.overrides?.["model"];
  if (typeof forced === "string") return [forced];
  const fallback = spec.request?.defaults?.["model"];
  // Under /v1 a request without a model matches no policy, so a default has no effect there.
  const supplied = typeof fallback === "string" && spec.match.pathPrefix !== undefined ? [fallback] : [];
  const wanted = [...new Set([...(spec.match.models ?? []), ...supplied])];
  return wanted.length === 0 ? null : wanted;
}

function missingModels(target: TargetSpec, provider: ProviderConfig, spec: RoutingPolicySpec): string[] {
  if (target.model !== undefined) return Object.hasOwn(provider.models, target.model) ? [] : [target.model];
  const wanted = requestedModels(spec) ?? [];
  const have = Object.keys(provider.models);
  const missing = wanted.filter((name) => !isModelPattern(name) && !Object.hasOwn(provider.models, name));
  const patterns = wanted.filter(isModelPattern);
  // One of several wildcards is enough: they may be for different providers.
  const unmatched = patterns.every((name) => modelsNamed(name, have).length === 0) ? patterns : [];
  return [...missing, ...unmatched];
}

/** Why no call of this policy could ever be served by a provider; null if some can. */
function unservable(
  provider: ProviderConfig,
  target: TargetSpec,
  spec: RoutingPolicySpec,
  view: ProviderView,
): string | null {
  const declared = own(view.capabilities, provider.type);
  if (declared === undefined || declared.passthrough.length + declared.translated.length === 0)
    return `type ${provider.type} serves no calls`;
  const set = { ...spec.request?.defaults, ...spec.request?.overrides, ...target.parameters };
  const refused = Object.keys(set).filter((name) => {
    const support = own(declared.parameters, name);
    return support === "refused" || (support === "dropped" && provider.unsupportedParameters === "Refuse");
  });
  return refused.length === 0 ? null : `type ${provider.type} refuses ${refused.join(", ")}, which the policy sets`;
}

/**
 * Why a namespace may not use a provider; null if it may. `last`: the policy's form from when the provider was valid.
 */
function refusal(
  id: string,
  owner: string,
  user: string,
  last: RouteConfig | undefined,
  view: ProviderView,
  world: World,
): Omit<Problem, "path"> | null {
  const grant = view.grants.get(id);
  if (grant === undefined) {
    if (owner === user || last?.routing.targets.some((target) => target.provider === id)) return null;
    return problem(
      "ProviderNotReady",
      `LLMProvider ${id} is invalid, so the namespaces that it allows are unknown; its status says why`,
    );
  }
  if (granted(grant, owner, user, world.namespaces)) return null;
  return problem(
    "RefNotPermitted",
    `LLMProvider ${id} does not allow namespace ${user}; its owner can grant that in spec.allowedNamespaces`,
  );
}

/** Models that may yet be discovered are no error: they are served once they are. */
function missingProblem(id: string, provider: ProviderConfig, missing: string[], path: Problem["path"]): Problem {
  const names = missing.join(", ");
  if (missing.every((name) => mayBeFound(provider, name))) {
    const message = `LLMProvider ${id} has not listed ${names} yet; calls are served once it does`;
    return { ...problem("ModelNotFound", message, [...path], "warning") };
  }
  const have = Object.keys(provider.models).slice(0, 16).join(", ") || "none yet";
  const message = `LLMProvider ${id} has no model ${names}; it has ${have}. Set the target's model, or add it there`;
  return problem("ModelNotFound", message, [...path]);
}

function resolveTarget(
  policy: ParsedObject<"RoutingPolicy">,
  at: number,
  last: RouteConfig | undefined,
  view: ProviderView,
  world: World,
  warnings: Problem[],
): TargetConfig | Problem {
  const target = policy.spec.routing.targets[at] as TargetSpec;
  const namespace = target.provider.namespace ?? policy.meta.namespace;
  const id = `${namespace}/${target.provider.name}`;
  const path = ["spec", "routing", "targets", at, "provider"];
  if (!view.existing.has(id))
    return problem("ProviderNotFound", `LLMProvider ${target.provider.name} is not in namespace ${namespace}`, path);
  const refused = refusal(id, namespace, policy.meta.namespace, last, view, world);
  if (refused) return { ...refused, path };
  const provider = view.live.get(id);
  if (provider === undefined)
    return problem("ProviderNotReady", `LLMProvider ${id} is not usable; its status says why`, path);
  const missing = missingModels(target, provider, policy.spec);
  if (missing.length > 0) {
    const absent = missingProblem(id, provider, missing, path.slice(0, -1));
    if (isError(absent)) return absent;
    warnings.push(absent);
  }
  const why = unservable(provider, target, policy.spec, view);
  if (why !== null)
    return problem("Unsupported", `LLMProvider ${id} can't serve this policy: ${why}`, path.slice(0, -1));
  return {
    name: targetName(target),
    provider: id,
    model: target.model ?? null,
    priority: target.priority,
    weight: target.weight,
    ...(target.parameters === undefined ? {} : { parameters: target.parameters }),
  };
}

/** Where files, batches and fine-tuning go; null if nowhere, or if the provider can't be used. */
function resourcesOf(
  policy: ParsedObject<"RoutingPolicy">,
  last: RouteConfig | undefined,
  view: ProviderView,
  world: World,
  refs: Problem[],
): RouteConfig["resources"] {
  const spec = policy.spec.resources;
  if (spec === undefined) return null;
  const namespace = spec.provider.namespace ?? policy.meta.namespace;
  const id = `${namespace}/${spec.provider.name}`;
  const path = ["spec", "resources", "provider"];
  const provider = view.live.get(id);
  const refused = view.existing.has(id) ? refusal(id, namespace, policy.meta.namespace, last, view, world) : null;
  if (!view.existing.has(id))
    refs.push(problem("ProviderNotFound", `LLMProvider ${spec.provider.name} is not in namespace ${namespace}`, path));
  else if (refused) refs.push({ ...refused, path });
  else if (provider === undefined)
    refs.push(problem("ProviderNotReady", `LLMProvider ${id} is not usable; its status says why`, path));
  else if (own(view.capabilities, provider.type)?.resources !== true)
    refs.push(
      problem(
        "Unsupported",
        `type ${provider.type} of LLMProvider ${id} has no files, batches and fine-tuning that pass through`,
        path,
      ),
    );
  else return { provider: id, kinds: [...spec.kinds].sort() };
  return null;
}

function checkNames(spec: RoutingPolicySpec, accepted: Problem[]): void {
  const names = spec.routing.targets.map(targetName);
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (twice >= 0)
    accepted.push(
      problem("Invalid", `two targets are named ${names[twice]}; give one of them a name of its own`, [
        "spec",
        "routing",
        "targets",
        twice,
      ]),
    );
}

/** A call that names no model can be served by a target that sets a model or has only one. */
function warnModelless(
  policy: ParsedObject<"RoutingPolicy">,
  targets: readonly TargetConfig[],
  view: ProviderView,
  accepted: Problem[],
): void {
  if (requestedModels(policy.spec) !== null) return;
  const unclear = targets.filter(
    (target) => target.model === null && Object.keys(view.live.get(target.provider)?.models ?? {}).length !== 1,
  );
  if (unclear.length === 0 || unclear.length < targets.length) return;
  const message =
    "a call that names no model can't be served, because no target has exactly one model; set request.defaults.model, or a target's model";
  accepted.push(problem("ModelNotFound", message, ["spec", "routing", "targets"], "warning"));
}

function cacheOf(spec: RoutingPolicySpec["cache"], semantic: CacheConfig["semantic"]): CacheConfig | null {
  if (spec === undefined) return null;
  const { ttl, maxEntries, scope, key, when } = spec;
  const ignore = cacheKeyPart.options.filter((part) => !key.includes(part));
  const temperatureAtMost = when.temperatureAtMost === undefined ? null : Number(when.temperatureAtMost);
  return {
    ttlMs: durationMs(ttl),
    maxEntries,
    scope,
    ignore,
    temperatureAtMost,
    maxTokensBelow: when.maxTokensBelow ?? null,
    semantic,
  };
}

/** The policy in the config's form, given the targets that resolved. */
function configOf(
  policy: ParsedObject<"RoutingPolicy">,
  access: RouteConfig["access"],
  targets: TargetConfig[],
  rules: RuleConfig[],
  canary: RouteConfig["routing"]["canary"],
  limits: Pick<RouteConfig, "limits" | "sessionTime">,
  resources: RouteConfig["resources"],
  guard: RouteConfig["guard"],
  cache: RouteConfig["cache"],
  world: World,
): RouteConfig {
  const { match, routing, request, session, allowedNamespaces, audit, logging, alertWhen } = policy.spec;
  const usable = new Set(targets.map((target) => target.name));
  return {
    id: policy.id,
    pathPrefix: match.pathPrefix ?? "",
    models: match.models === undefined ? null : [...match.models].sort(),
    consumers: coverage(allowedNamespaces, policy.meta.namespace, world.namespaces),
    access,
    request: {
      defaults: request?.defaults ?? {},
      overrides: request?.overrides ?? {},
      prompts: request?.prompts ?? [],
    },
    routing: {
      strategy: routing.strategy,
      targets,
      fallbackOn: routing.fallbackOn,
      slowAfterMs: routing.slowAfter === undefined ? null : durationMs(routing.slowAfter),
      leastLatency: {
        windowMs: durationMs(routing.leastLatency.window),
        samples: routing.leastLatency.samples,
        minimumSamples: routing.leastLatency.minimumSamples,
      },
      affinity:
        routing.affinity === undefined ? null : { by: routing.affinity.by, header: routing.affinity.header ?? null },
      rules: rules.map((rule) => ({ ...rule, use: rule.use.filter((name) => usable.has(name)) })),
      canary,
    },
    ...(session === undefined ? {} : { sessionHeader: session.header }),
    resources,
    guard,
    cache,
    ...limits,
    audit,
    logging,
    ...(alertWhen === undefined ? {} : { watch: countingOf(alertWhen) }),
  };
}

/** Targets that may see the data. Others are left out with a warning; if none remains, the policy is refused. */
function residents(
  targets: readonly TargetConfig[],
  regions: string[] | null,
  view: ProviderView,
  accepted: Problem[],
): TargetConfig[] {
  const whyNot = (target: TargetConfig): string | null => {
    const provider = view.live.get(target.provider);
    return provider === undefined ? null : notResident(regions, provider);
  };
  const kept = targets.filter((target) => whyNot(target) === null);
  for (const target of targets) {
    const why = whyNot(target);
    const severity = kept.length === 0 ? "error" : "warning";
    if (why !== null)
      accepted.push(
        problem("NotResident", `target ${target.name} is never used: ${why}`, ["spec", "routing", "targets"], severity),
      );
  }
  return kept;
}

/** `last` is the policy's last good form, if it has one. */
export function compileRoute(
  policy: ParsedObject<"RoutingPolicy">,
  last: RouteConfig | undefined,
  view: ProviderView,
  world: World,
  settings: CompileSettings,
  fact: CanaryFact | undefined,
): CompiledRoute {
  const { spec } = policy;
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  const asks = { sharing: spec.allowedNamespaces.from !== "Same", anonymous: spec.access.anonymous };
  accepted.push(...checkTenancy(policy.meta.namespace, { pathPrefix: spec.match.pathPrefix ?? "" }, asks, settings));
  checkNames(spec, accepted);
  const before = accepted.length;
  const access = compileAccess(spec.access, settings, accepted);
  const accessSettled = !accepted.slice(before).some(isError);
  const resolved: TargetConfig[] = [];
  for (const [at, { parameters }] of spec.routing.targets.entries()) {
    accepted.push(...checkTargetParameters(parameters, ["spec", "routing", "targets", at, "parameters"]));
    const target = resolveTarget(policy, at, last, view, world, resolvedRefs);
    if ("reason" in target) resolvedRefs.push(target);
    else resolved.push(target);
  }
  const targets = residents(resolved, access.regions, view, accepted);
  warnModelless(policy, targets, view, accepted);
  const rules = compileRules(spec, new Set(spec.routing.targets.map(targetName)), accepted);
  warnUnreachable(rules, spec.match.models ?? null, accepted);
  warnUnrecorded(spec.audit, settings, accepted);
  const canary = compileCanary(policy.id, spec.routing, targets, fact, accepted);
  const limits = { limits: compileLimits(spec.limits, accepted), ...compileSessionTime(spec.limits, accepted) };
  const resources = resourcesOf(policy, last, view, world, resolvedRefs);
  const refusedTo = (id: string, owner: string) => refusal(id, owner, policy.meta.namespace, last, view, world);
  const semantic = compileSemanticCache(policy, access.regions, refusedTo, view, resolvedRefs);
  const config = configOf(
    policy,
    access,
    targets,
    rules,
    canary.config,
    limits,
    resources,
    compileGuard(spec.guard, spec.resources !== undefined, accepted),
    cacheOf(spec.cache, semantic),
    world,
  );
  return { config, canary: canary.plan, accepted, resolvedRefs, accessSettled };
}
