/** RoutingPolicy → RouteConfig, given the live providers. */
import { durationMs } from "../../crds/quantity.ts";
import type { RoutingPolicySpec } from "../../crds/types/routing-policy.ts";
import { type CacheConfig, cacheKeyPart } from "../../proxy/config/cache.ts";
import type { RouteConfig, RuleConfig, TargetConfig } from "../../proxy/config/route.ts";
import { compileAccess, notResident, warnUnrecorded } from "./access.ts";
import { type CanaryPlan, compileCanary } from "./canary.ts";
import { coverage } from "./grants.ts";
import { compileGuard } from "./guard.ts";
import { compileLimits, compileSessionTime } from "./limits.ts";
import { countingOf } from "./object-alerts.ts";
import { isError, own, type ParsedObject, problem } from "./outcome.ts";
import type { ProviderView } from "./provider-view.ts";
import { compileRules, warnUnreachable } from "./rules.ts";
import { compileSemanticCache } from "./semantic-cache.ts";
import { compileShadow } from "./shadow.ts";
import { checkTargetParameters } from "./target-parameters.ts";
import { grantRefusal, requestedModels, resolveTarget, type TargetContext, targetName } from "./targets.ts";
import { checkTenancy } from "./tenancy.ts";
import type { Problem } from "./verdict.ts";
import type { CanaryFact, CompileSettings, World } from "./world.ts";

interface Problems {
  /** Problems of the policy itself. */
  accepted: Problem[];
  /** Problems with what it refers to. */
  resolvedRefs: Problem[];
}

export interface CompiledRoute extends Problems {
  config: RouteConfig;
  /** Input for judging its canary; null if it has none. */
  canary: CanaryPlan | null;
  /** Whether the access rules are valid, whatever else is wrong; otherwise those of the last good form apply. */
  accessSettled: boolean;
}

/** Where files, batches and fine-tuning go; null if nowhere, or if the provider can't be used. */
function resourcesOf(context: TargetContext, refs: Problem[]): RouteConfig["resources"] {
  const { policy, view } = context;
  const spec = policy.spec.resources;
  if (spec === undefined) return null;
  const namespace = spec.provider.namespace ?? policy.meta.namespace;
  const id = `${namespace}/${spec.provider.name}`;
  const path = ["spec", "resources", "provider"];
  const provider = view.live.get(id);
  const refused = view.existing.has(id) ? grantRefusal(id, namespace, context) : null;
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
  else {
    const api = own(view.capabilities, provider.type)?.resourceApi;
    return { provider: id, kinds: [...spec.kinds].sort(), ...(api === undefined ? {} : { api }) };
  }
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

function routingOf(
  { routing }: RoutingPolicySpec,
  targets: TargetConfig[],
  rules: readonly RuleConfig[],
  canary: RouteConfig["routing"]["canary"],
): RouteConfig["routing"] {
  const { strategy, fallbackOn, slowAfter, leastLatency, affinity } = routing;
  const usable = new Set(targets.map((target) => target.name));
  return {
    strategy,
    targets,
    fallbackOn,
    slowAfterMs: slowAfter === undefined ? null : durationMs(slowAfter),
    leastLatency: {
      windowMs: durationMs(leastLatency.window),
      samples: leastLatency.samples,
      minimumSamples: leastLatency.minimumSamples,
    },
    affinity: affinity === undefined ? null : { by: affinity.by, header: affinity.header ?? null },
    rules: rules.map((rule) => ({ ...rule, use: rule.use.filter((name) => usable.has(name)) })),
    canary,
  };
}

/** Members of the config that are compiled by themselves. */
type Parts = Pick<
  RouteConfig,
  "access" | "routing" | "limits" | "sessionTime" | "resources" | "guard" | "cache" | "shadow"
>;

/** The policy in the config's form. */
function configOf(policy: ParsedObject<"RoutingPolicy">, { namespaces }: World, parts: Parts): RouteConfig {
  const { match, request, session, allowedNamespaces, audit, logging, alertWhen } = policy.spec;
  return {
    ...parts,
    id: policy.id,
    pathPrefix: match.pathPrefix ?? "",
    models: match.models === undefined ? null : [...match.models].sort(),
    consumers: coverage(allowedNamespaces, policy.meta.namespace, namespaces),
    request: {
      defaults: request?.defaults ?? {},
      overrides: request?.overrides ?? {},
      prompts: request?.prompts ?? [],
    },
    ...(session === undefined ? {} : { sessionHeader: session.header }),
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

/** Targets that exist and that the policy may use; problems of the others go into `problems`. */
function targetsOf(context: TargetContext, problems: Problems): TargetConfig[] {
  const resolved: TargetConfig[] = [];
  for (const [index, target] of context.policy.spec.routing.targets.entries()) {
    const path = ["spec", "routing", "targets", index];
    problems.accepted.push(...checkTargetParameters(target.parameters, [...path, "parameters"]));
    const resolution = resolveTarget(target, path, context, problems.resolvedRefs);
    if ("reason" in resolution) problems.resolvedRefs.push(resolution);
    else resolved.push(resolution);
  }
  return resolved;
}

interface RouteContext extends Omit<TargetContext, "policy"> {
  settings: CompileSettings;
  /** The recorded progress of its canary. */
  fact: CanaryFact | undefined;
}

export function compileRoute(
  policy: ParsedObject<"RoutingPolicy">,
  { settings, fact, ...surroundings }: RouteContext,
): CompiledRoute {
  const { spec } = policy;
  const context: TargetContext = { policy, ...surroundings };
  const { view, world } = context;
  const accepted: Problem[] = [];
  const resolvedRefs: Problem[] = [];
  const asks = { sharing: spec.allowedNamespaces.from !== "Same", anonymous: spec.access.anonymous };
  accepted.push(...checkTenancy(policy.meta.namespace, { pathPrefix: spec.match.pathPrefix ?? "" }, asks, settings));
  checkNames(spec, accepted);
  const before = accepted.length;
  const access = compileAccess(spec.access, settings, accepted);
  const accessSettled = !accepted.slice(before).some(isError);
  const targets = residents(targetsOf(context, { accepted, resolvedRefs }), access.regions, view, accepted);
  warnModelless(policy, targets, view, accepted);
  const rules = compileRules(spec, new Set(spec.routing.targets.map(targetName)), accepted);
  warnUnreachable(rules, spec.match.models ?? null, accepted);
  warnUnrecorded(spec.audit, settings, accepted);
  const canary = compileCanary(policy.id, spec.routing, targets, fact, accepted);
  const limits = { limits: compileLimits(spec.limits, accepted), ...compileSessionTime(spec.limits, accepted) };
  const resources = resourcesOf(context, resolvedRefs);
  const semantic = compileSemanticCache(context, access.regions, resolvedRefs);
  const shadow = compileShadow(context, targets, access.regions, accepted, resolvedRefs);
  const config = configOf(policy, world, {
    access,
    routing: routingOf(spec, targets, rules, canary.config),
    ...limits,
    resources,
    guard: compileGuard(spec.guard, spec.resources !== undefined, accepted),
    cache: cacheOf(spec.cache, semantic),
    ...(shadow === null ? {} : { shadow }),
  });
  return { config, canary: canary.plan, accepted, resolvedRefs, accessSettled };
}
