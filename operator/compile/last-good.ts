/**
 * Last good forms: the form published before replaces an object that can't be compiled now. It never restores what
 * others have withdrawn since: a provider, a model, a grant.
 */

import type { SemanticCacheConfig } from "../../proxy/config/cache.ts";
import { modelsNamed } from "../../proxy/config/model-pattern.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig, TargetConfig } from "../../proxy/config/route.ts";
import { notResident } from "./access.ts";
import { granted } from "./grants.ts";
import { namespaceOf } from "./outcome.ts";
import type { ProviderView } from "./provider-view.ts";
import { narrowed } from "./tenancy.ts";
import type { World } from "./world.ts";

/**
 * Whether the model that a request calls through this target still exists, or at least one of several possible models.
 */
function hasModel(target: TargetConfig, route: RouteConfig, provider: ProviderConfig): boolean {
  if (target.model !== null) return Object.hasOwn(provider.models, target.model);
  const forced = route.request.overrides["model"];
  const wanted = typeof forced === "string" ? [forced] : route.models;
  return wanted === null || wanted.some((name) => modelsNamed(name, Object.keys(provider.models)).length > 0);
}

/** A provider whose object is invalid now keeps the grants from when it was valid: they are in the last good form. */
function stillGranted(provider: string, route: RouteConfig, view: ProviderView, world: World): boolean {
  const grant = view.grants.get(provider);
  return grant === undefined || granted(grant, namespaceOf(provider), namespaceOf(route.id), world.namespaces);
}

/** The last good form without the callers that its owner has removed since, whatever else is wrong with the edit. */
export function closedAs(last: RouteConfig, { access, consumers }: RouteConfig): RouteConfig {
  return {
    ...last,
    consumers: narrowed(last.consumers, consumers),
    access: { ...last.access, anonymous: last.access.anonymous && access.anonymous },
  };
}

/**
 * The last good form under the access rules that apply now: an error elsewhere in a policy must not delay what its
 * owner has closed. An open policy stays open only if both forms are open.
 */
export function underAccess(route: RouteConfig, access: RouteConfig["access"], view: ProviderView): RouteConfig {
  const closed = { ...route, access: { ...access, anonymous: access.anonymous && route.access.anonymous } };
  const targets = route.routing.targets.filter((target) => {
    const provider = view.live.get(target.provider);
    return provider === undefined || notResident(access.regions, provider) === null;
  });
  const staysIn = ({ provider }: { provider: string }): boolean => {
    const live = view.live.get(provider);
    return live === undefined || notResident(access.regions, live) === null;
  };
  return withSemantic(withShadow(withTargets(closed, targets), staysIn), staysIn);
}

/** Its cache compares by meaning only if the provider of embeddings may still see the data. */
function withSemantic(route: RouteConfig, may: (semantic: SemanticCacheConfig) => boolean): RouteConfig {
  const semantic = route.cache?.semantic ?? null;
  return route.cache === null || semantic === null || may(semantic)
    ? route
    : { ...route, cache: { ...route.cache, semantic: null } };
}

/** Calls are copied only if the shadow's target may still be used. */
function withShadow({ shadow, ...route }: RouteConfig, may: (target: TargetConfig) => boolean): RouteConfig {
  return shadow !== undefined && may(shadow.target) ? { ...route, shadow } : route;
}

function withTargets(route: RouteConfig, targets: TargetConfig[]): RouteConfig {
  const usable = new Set(targets.map((target) => target.name));
  const rules = route.routing.rules.map((rule) => ({ ...rule, use: rule.use.filter((name) => usable.has(name)) }));
  return { ...route, routing: { ...route.routing, targets, rules } };
}

function stillThere(route: RouteConfig, view: ProviderView, world: World): RouteConfig["resources"] {
  const { resources } = route;
  return resources !== null && view.live.has(resources.provider) && stillGranted(resources.provider, route, view, world)
    ? resources
    : null;
}

export function lastGoodRoute(route: RouteConfig, view: ProviderView, world: World): RouteConfig {
  const isUsable = (target: TargetConfig): boolean => {
    const provider = view.live.get(target.provider);
    return (
      provider !== undefined && hasModel(target, route, provider) && stillGranted(target.provider, route, view, world)
    );
  };
  const targets = route.routing.targets.filter(isUsable);
  const left = {
    ...withShadow(withTargets(route, targets), isUsable),
    resources: stillThere(route, view, world),
  };
  return withSemantic(left, ({ provider, model }) => {
    const live = view.live.get(provider);
    return live !== undefined && Object.hasOwn(live.models, model) && stillGranted(provider, route, view, world);
  });
}
