/**
 * Stages: which route serves a model for this caller, and whether the caller may use it. One predicate for calls and
 * for the list of models.
 */

import type { Identity, KeyIdentity } from "../call/identity.ts";
import { type KeyRecord, namespaceOfKey } from "../config/key-record.ts";
import { allowsModel, isModelPattern, type ModelNames, matchesPattern, modelPattern } from "../config/model-pattern.ts";
import type { Permission } from "../config/roles.ts";
import { type Failure, failure } from "../failure.ts";
import { keptElsewhere } from "../ids/unknown-object.ts";
import type { ProviderModel } from "../providers/provider.ts";
import type { ResolvedTarget } from "../snapshot/resolved-target.ts";
import type { Namespaces, PathEntry, ProviderEntry, Role, Route, Snapshot } from "../snapshot/snapshot.ts";

export interface Routed {
  route: Route;
  /** The model that the caller requested, or that the route supplies; null if only the target determines it. */
  model: string | null;
}

const includes = (namespaces: Namespaces, namespace: string): boolean =>
  namespaces === "*" || namespaces.has(namespace);

/** The namespace that a caller belongs to, whether or not its key is still valid; null if unknown. */
function homeOf(identity: Identity): string | null {
  if (!identity.anonymous) return identity.namespace;
  return identity.known === undefined ? null : namespaceOfKey(identity.known);
}

/**
 * Whether the route is offered to this caller. A caller of a namespace is served by that namespace's routes and those
 * shared with it, anonymous or not: otherwise another tenant's anonymous policy could take its calls.
 */
export function offeredTo(route: Route, identity: Identity): boolean {
  if (identity.anonymous && !route.config.access.anonymous) return false;
  const home = homeOf(identity);
  return home === null || includes(route.consumers, home);
}

/** Whether any route under the prefix is offered to this caller. */
export function offersTo({ serves, open }: PathEntry, identity: Identity): boolean {
  const namespaces = identity.anonymous ? open : serves;
  if (namespaces === null) return false;
  const home = homeOf(identity);
  return home === null || includes(namespaces, home);
}

const unknownModel = (model: string): Failure =>
  failure(
    "model_not_found",
    `The model ${JSON.stringify(model.slice(0, 128))} does not exist here or this key may not use it. GET /v1/models lists what it may use.`,
    { param: "model" },
  );

const noModel = failure(
  "missing_required_parameter",
  "The request names no model. Set `model`; GET /v1/models lists what this key may use.",
  {
    param: "model",
  },
);

const none: readonly Route[] = [];

function firstOffered(routes: readonly Route[], identity: Identity): Route | undefined {
  for (let index = 0; index < routes.length; index++) {
    const route = routes[index] as Route;
    if (offeredTo(route, identity)) return route;
  }
  return undefined;
}

/** Names come before patterns, and longer patterns before shorter ones. */
function claimant({ byModel, byPattern }: PathEntry, model: string, identity: Identity): Route | undefined {
  const named = firstOffered(byModel.get(model) ?? none, identity);
  if (named !== undefined || byPattern.length === 0) return named;
  for (const { pattern, routes } of byPattern) {
    const offered = matchesPattern(pattern, model) ? firstOffered(routes, identity) : undefined;
    if (offered !== undefined) return offered;
  }
  return undefined;
}

/** `model`: the model that the body requests, or null. */
export function route(path: PathEntry, model: string | null, identity: Identity): Routed | Failure {
  const serving =
    (model === null ? undefined : claimant(path, model, identity)) ?? firstOffered(path.catchAll, identity);
  if (serving) return { route: serving, model };
  return model === null ? onlyRoute(path, identity) : unknownModel(model);
}

/** The route of a body that names no model. */
function onlyRoute(path: PathEntry, identity: Identity): Routed | Failure {
  const offered = path.routes.filter((route) => offeredTo(route, identity));
  const only = offered.length === 1 ? offered[0] : undefined;
  const supplied = path.prefix !== "" && only?.config.models?.length === 1 ? only.config.models[0] : undefined;
  return only && supplied !== undefined && !isModelPattern(supplied) ? { route: only, model: supplied } : noModel;
}

/** Why this caller lacks a permission; null if it has it. */
export function missingPermission(
  identity: KeyIdentity,
  permission: Permission,
  roles: ReadonlyMap<string, Role>,
): Failure | null {
  const role = roles.get(identity.key.role);
  if (role === undefined)
    return failure(
      "unknown_role",
      `The role ${JSON.stringify(identity.key.role)} of this API key is not defined here. Ask the platform team to define it.`,
    );
  if (role.permissions.has(permission)) return null;
  return failure(
    "permission_denied",
    `The role ${JSON.stringify(identity.key.role)} of this API key lacks the permission ${permission}.`,
  );
}

/** Whether the key and its role allow the model: both may list models. */
function modelDenied(key: KeyRecord, ofRole: ModelNames | null, model: string | null): Failure | null {
  const allowed = allowsModel(key.models, model) && (ofRole === null || (model !== null && ofRole.has(model)));
  if (allowed) return null;
  return failure(
    "model_not_allowed",
    "This API key is not allowed to use this model. GET /v1/models lists what it may use.",
    { param: "model" },
  );
}

/** Why this caller may not use the route for this model; null if it may. */
export function denyByRoleOrModel(
  route: Route,
  model: string | null,
  identity: Identity,
  roles: ReadonlyMap<string, Role>,
): Failure | null {
  if (identity.anonymous) return route.config.access.anonymous ? null : identity.failure;
  const key = identity.key;
  const refused =
    missingPermission(identity, "use_models", roles) ?? modelDenied(key, roles.get(key.role)?.models ?? null, model);
  if (refused !== null) return refused;
  return denyByPolicyScope(route, identity);
}

/** Whether any policy, under any path, lets this caller use the model. */
export function servesModel(snapshot: Snapshot, model: string, identity: Identity): boolean {
  for (const { byModel, catchAll } of snapshot.paths.values())
    for (const route of [...(byModel.get(model) ?? []), ...catchAll])
      if (offeredTo(route, identity) && denyByRoleOrModel(route, model, identity, snapshot.roles) === null) return true;
  return false;
}

/** Why this caller may not use the route, whatever the model; null if it may. */
export function denyByPolicyScope(route: Route, { key }: KeyIdentity): Failure | null {
  if (route.roles && !route.roles.has(key.role))
    return failure("access_denied", "The role of this API key may not use this model.");
  if (route.teams && !(key.team !== null && route.teams.has(key.team)))
    return failure("access_denied", "The team of this API key may not use this model.");
  const tags = route.tags;
  if (tags && !key.tags.some((tag) => tags.has(tag)))
    return failure("access_denied", "This API key lacks a tag that the model's policy asks for.");
  return null;
}

/** Whether residency lets the route's data go to this provider. A provider without a region gets no restricted data. */
export function resident(route: Route, entry: ProviderEntry): boolean {
  const { region } = entry.account.config;
  return route.regions === null || (region !== null && route.regions.has(region));
}

/** By model, for each policy of a snapshot. */
const resolvedTargets = new WeakMap<Route, Map<string | null, readonly ResolvedTarget[]>>();
/** Most models cached per policy: one that fixes its targets' models accepts any name. */
const maxResolved = 64;

/** Targets that have the model and may get the data, in config order. Later stages know no other targets. */
export function resolveTargets(route: Route, model: string | null): readonly ResolvedTarget[] {
  let existing = resolvedTargets.get(route);
  if (existing === undefined) resolvedTargets.set(route, (existing = new Map()));
  const before = existing.get(model);
  if (before !== undefined) return before;
  const resolved = targetsWith(route, model);
  // A model that no provider has is the caller's free text, and isn't cached.
  if (resolved.length > 0 && existing.size < maxResolved) existing.set(model, resolved);
  return resolved;
}

function targetsWith(route: Route, model: string | null): ResolvedTarget[] {
  const resolved: ResolvedTarget[] = [];
  for (const target of route.targets) {
    if (!resident(route, target.entry)) continue;
    const resolvedModel = target.model ?? (model === null ? onlyModel(target.entry) : target.entry.models.get(model));
    if (resolvedModel) resolved.push({ config: target.config, entry: target.entry, model: resolvedModel });
  }
  return resolved;
}

/**
 * `account`: the only provider that can be asked, because it keeps the state that the request continues from; null for
 * any.
 */
export function targetsFor(
  route: Route,
  model: string | null,
  account: string | null,
): readonly [ResolvedTarget, ...ResolvedTarget[]] | Failure {
  const serving = resolveTargets(route, model);
  const keeping = account === null ? serving : serving.filter(({ entry }) => entry.account.config.id === account);
  if (keeping.length > 0) return keeping as readonly [ResolvedTarget, ...ResolvedTarget[]];
  return serving.length > 0 ? keptElsewhere : noTarget(route, model);
}

/**
 * The model's configured name, for logs and metrics: never the caller's own text. `first`: the first target that has
 * the model.
 */
export function modelAsRouted(route: Route, model: string | null, first: ResolvedTarget): string {
  if (model !== null && first.entry.models.has(model)) return model;
  return route.config.models?.find((name) => name === model) ?? first.model.name;
}

/** The failure if no target resolves. */
export function noTarget(route: Route, model: string | null): Failure {
  return model === null || route.targets.length === 0
    ? failure(
        "no_usable_target",
        "The policy of this model has no usable provider. Ask the platform team to look at the policy's status.",
      )
    : failure("model_not_found", "No provider of this policy has the model. GET models lists what there is.", {
        param: "model",
      });
}

/** The failure if the rule that decides names only targets that can't be asked. */
export const noTargetByRule = failure("no_usable_target", "The rule that matches names no target that can be asked.");

function onlyModel(entry: ProviderEntry): ProviderModel | undefined {
  return entry.models.size === 1 ? entry.models.values().next().value : undefined;
}

/** The names under which a route's models are listed. Of a pattern, those that its providers are known to have. */
export function modelNames(route: Route): string[] {
  const { models } = route.config;
  if (models !== null && !models.some(isModelPattern)) return models;
  const usable = route.targets.filter((target) => resident(route, target.entry));
  if (models === null)
    return usable.flatMap((target) => (target.model ? [target.model.name] : [...target.entry.models.keys()]));
  const modelNames = usable.flatMap((target) => (target.model ? [] : [...target.entry.models.keys()]));
  const patterns = models.filter(isModelPattern).map(modelPattern);
  const matched = modelNames.filter((name) => patterns.some((pattern) => matchesPattern(pattern, name)));
  return [...models.filter((name) => !isModelPattern(name)), ...matched];
}
