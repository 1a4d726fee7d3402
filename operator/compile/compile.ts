/**
 * Objects → rendered config and a verdict for each object. Pure: equal input gives equal output, byte for byte.
 *
 *   providers   first, since routes depend on them
 *   routes      oldest first; the older one wins a conflict
 *   keys        digests only
 *   budgets
 *
 * An object that can't be compiled keeps its last good form, which is taken from what was published before.
 */
import type { Kind } from "../../crds/kinds.ts";
import type { BudgetConfig } from "../../proxy/config/budget.ts";
import type { Capabilities } from "../../proxy/config/capabilities.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { RouteConfig } from "../../proxy/config/route.ts";
import { type RenderedConfig, settings as settingsSchema } from "../../proxy/config/schema.ts";
import { type BudgetWatch, compileBudget, publishedSelector } from "./budgets.ts";
import type { CanaryPlan } from "./canary.ts";
import { compileKeys } from "./compile-keys.ts";
import { RouteClaims, settlePrefixes } from "./conflicts.ts";
import { credentialsInUse } from "./credentials-in-use.ts";
import { fitBudgets, fitKeys, fitProviders, fitRoutes, fitSeeds } from "./fit.ts";
import { closedAs, lastGoodRoute, underAccess } from "./last-good.ts";
import { CompileMemo } from "./memo.ts";
import { warnOverlaps } from "./model-overlaps.ts";
import { compileObjectAlerts, type ObjectAlertWatch } from "./object-alerts.ts";
import { idOf, isError, namespaceOf, parseKind, problem } from "./outcome.ts";
import { poolConditions } from "./pool.ts";
import { checkPrivate, mayBePrivate } from "./private-endpoints.ts";
import type { ProviderView } from "./provider-view.ts";
import { compileProvider } from "./providers.ts";
import { type CompiledRoute, compileRoute } from "./routes.ts";
import type { Selecting } from "./selectors.ts";
import { asPermitted } from "./tenancy.ts";
import type { Verdict, VerdictDraft } from "./verdict.ts";
import { mayUseIdentity } from "./workload-identity.ts";
import type { CompileInput, WorldObject } from "./world.ts";

export interface Compiled {
  config: RenderedConfig;
  /** One for each object, sorted by kind, namespace and name. */
  verdicts: readonly Verdict[];
  /** Verdicts on objects of all kinds except ApiKey: few. */
  others: readonly Verdict[];
  /** Canaries that are live. */
  canaries: CanaryPlan[];
  /** Budgets of money. */
  watches: BudgetWatch[];
  /** Providers and policies with alerts. */
  alarms: ObjectAlertWatch[];
}

const index = <T extends { id: string }>(entries: readonly T[] | undefined): ReadonlyMap<string, T> =>
  new Map((entries ?? []).map((entry) => [entry.id, entry]));
const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

/** Replaces an object by its last good form, if there is one. */
function fallBack<T extends { id: string }>(
  verdict: VerdictDraft,
  previous: ReadonlyMap<string, T>,
  into: Map<string, T>,
): void {
  const last = previous.get(idOf(verdict.meta));
  if (last === undefined) return;
  into.set(last.id, last);
  verdict.live = "lastGood";
}

/** An unknown price never counts as zero: the status names the models that have none. */
function unpriced(provider: ProviderConfig): VerdictDraft["conditions"] {
  const without = Object.keys(provider.models).filter((name) => provider.models[name]?.price === null);
  if (without.length === 0) return [];
  const names = `${without.slice(0, 16).join(", ")}${without.length > 16 ? ` and ${without.length - 16} more` : ""}`;
  return [
    {
      type: "PriceUnknown",
      status: "True",
      reason: "PriceUnknown",
      message: `no price is known for ${names}; set price in spec.models`,
    },
  ];
}

/**
 * A matter of time, not of a new form of the object, so a warning, which is reported once for each form, is not enough.
 */
function expired(verdict: VerdictDraft): VerdictDraft["conditions"] {
  const type = "CertificateExpired";
  return verdict.resolvedRefs
    .filter((one) => one.reason === type)
    .map(({ message }) => ({ type, status: "True", reason: type, message }));
}

/** Status fields of a provider for the form that is served. */
function noteServing(verdict: VerdictDraft, serving: ProviderConfig | undefined): void {
  if (serving) verdict.conditions.push(...unpriced(serving), ...expired(verdict), ...poolConditions(serving));
  verdict.status =
    serving === undefined ? { models: 0 } : { models: Object.keys(serving.models).length, endpoint: serving.endpoint };
}

interface CompiledProviders extends ProviderView {
  live: Map<string, ProviderConfig>;
  alarms: ObjectAlertWatch[];
  /** As compiled, whether or not they are live. */
  compiled: ProviderConfig[];
}

function compileProviders(
  objects: readonly WorldObject[],
  input: CompileInput,
  capabilities: Readonly<Record<string, Capabilities>>,
  verdicts: VerdictDraft[],
  memo: CompileMemo,
): CompiledProviders {
  // What is no longer permitted does not return as a last good form either.
  const previous = index(
    input.previous?.providers.filter(
      ({ id, allowPrivateEndpoint, identity }) =>
        (!allowPrivateEndpoint || mayBePrivate(namespaceOf(id), input.settings)) &&
        (identity === undefined || mayUseIdentity(namespaceOf(id), identity, input.settings)),
    ),
  );
  const { parsed, invalid } = parseKind("LLMProvider", objects, memo.providerSpecs);
  const live = new Map<string, ProviderConfig>();
  const grants = new Map<string, ReturnType<ProviderView["grants"]["get"]> & object>();
  const alarms: (ObjectAlertWatch | null)[] = [];
  const attempted: ProviderConfig[] = [];
  for (const { object, verdict } of parsed) {
    grants.set(object.id, object.spec.allowedNamespaces);
    const declared = capabilities[object.spec.type];
    if (declared === undefined)
      verdict.accepted.push(
        problem("Unsupported", `this version has no provider type ${object.spec.type}`, ["spec", "type"]),
      );
    else {
      const compiled = compileProvider(object, declared, input);
      attempted.push(compiled.config);
      verdict.accepted = [...checkPrivate(object, input.settings), ...compiled.accepted];
      verdict.resolvedRefs = compiled.resolvedRefs;
      if (![...verdict.accepted, ...compiled.resolvedRefs].some(isError)) {
        live.set(object.id, compiled.config);
        verdict.live = "current";
      }
    }
    alarms.push(compileObjectAlerts(object, input.world, input.settings.hasMail ?? true, verdict));
  }
  const all = [...parsed.map((one) => one.verdict), ...invalid];
  for (const verdict of all) if (verdict.live === "none") fallBack(verdict, previous, live);
  const interned = memo.providers.of([...live.values()].sort(byId)).map((one) => [one.id, one] as const);
  const fitting = fitProviders(all, new Map(interned), previous, input.world.secrets);
  for (const verdict of all) noteServing(verdict, fitting.get(idOf(verdict.meta)));
  verdicts.push(...all);
  return {
    live: fitting,
    grants,
    capabilities,
    existing: new Set(all.map((verdict) => idOf(verdict.meta))),
    alarms: alarms.filter((alarm) => alarm !== null),
    compiled: attempted,
  };
}

interface Candidate {
  verdict: VerdictDraft;
  config: RouteConfig;
}

/** The result for a valid policy: itself, the part of it that resolved, or its last good form. */
function candidateOf(verdict: VerdictDraft, compiled: CompiledRoute, last: RouteConfig | null): Candidate | null {
  const broken = compiled.accepted.some(isError);
  const empty = compiled.config.routing.targets.length === 0;
  if (!broken && !empty) {
    verdict.live = compiled.resolvedRefs.some(isError) ? "partial" : "current";
    return { verdict, config: compiled.config };
  }
  const usable = last !== null && last.routing.targets.length > 0;
  return broken || usable ? lastGoodCandidate(verdict, last) : { verdict, config: compiled.config };
}

/** With no target left it serves nothing but stays, so that callers get a better error than an unknown model. */
function lastGoodCandidate(verdict: VerdictDraft, last: RouteConfig | null): Candidate | null {
  if (last === null) return null;
  if (last.routing.targets.length > 0) verdict.live = "lastGood";
  return { verdict, config: last };
}

function compileRoutes(
  objects: readonly WorldObject[],
  input: CompileInput,
  view: ProviderView,
  verdicts: VerdictDraft[],
  memo: CompileMemo,
): { routes: RouteConfig[]; canaries: CanaryPlan[]; alarms: ObjectAlertWatch[] } {
  const previous = index(input.previous?.routes);
  const { parsed, invalid } = parseKind("RoutingPolicy", objects, memo.policySpecs);
  const lastOf = (id: string): RouteConfig | null => {
    const last = previous.get(id);
    // What is no longer permitted does not return as a last good form either.
    const permitted = last === undefined ? null : asPermitted(last, input.settings);
    return permitted === null ? null : lastGoodRoute(permitted, view, input.world);
  };
  const candidates: (Candidate | null)[] = [];
  /** Published forms, limited to what may still be served. */
  const stays = new Map<string, RouteConfig>();
  const plans: CanaryPlan[] = [];
  const alarms: (ObjectAlertWatch | null)[] = [];
  for (const { object, verdict } of parsed) {
    const compiled = compileRoute(
      object,
      previous.get(object.id),
      view,
      input.world,
      input.settings,
      input.canaries?.get(object.id),
    );
    if (compiled.canary !== null) plans.push(compiled.canary);
    verdict.accepted = compiled.accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    alarms.push(compileObjectAlerts(object, input.world, input.settings.hasMail ?? true, verdict));
    const last = lastOf(object.id);
    const closed = last === null ? null : closedAs(last, compiled.config);
    const held = closed !== null && compiled.accessSettled ? underAccess(closed, compiled.config.access, view) : closed;
    if (held !== null) stays.set(object.id, held);
    candidates.push(candidateOf(verdict, compiled, held));
  }
  for (const verdict of invalid) candidates.push(lastGoodCandidate(verdict, lastOf(idOf(verdict.meta))));
  const all = [...parsed.map((one) => one.verdict), ...invalid];
  for (const verdict of all) verdict.status["targets"] = 0;
  verdicts.push(...all);
  const settled = settleConflicts(
    candidates.filter((candidate) => candidate !== null),
    previous,
  );
  const interned = memo.routes.of(settled.map(({ config }) => config).sort(byId));
  const routeOf = index(interned);
  const routes = fitRoutes(
    settled.map(({ verdict, config }) => ({ verdict, config: routeOf.get(config.id) ?? config })),
    (id) => stays.get(id) ?? null,
  ).sort(byId);
  const served = index(routes);
  for (const { verdict } of settled)
    verdict.status["targets"] = served.get(idOf(verdict.meta))?.routing.targets.length ?? 0;
  const live = new Map(routes.map((route) => [route.id, route.routing.canary?.id]));
  return {
    routes,
    canaries: plans.filter((plan) => live.get(plan.route) === plan.id),
    alarms: alarms.filter((alarm) => alarm !== null),
  };
}

const candidatesByAge = (a: Candidate, b: Candidate): number =>
  a.verdict.meta.createdAtMs - b.verdict.meta.createdAtMs || byId(a.config, b.config);

/**
 * Routes in the order in which path prefixes were claimed: those already published at their prefix come first. An old
 * policy that moves to a prefix is a late claim; otherwise it could take a younger policy's prefix away.
 */
function byClaim(candidates: readonly Candidate[], previous: ReadonlyMap<string, RouteConfig>): RouteConfig[] {
  const holds = ({ config }: Candidate): boolean => previous.get(config.id)?.pathPrefix === config.pathPrefix;
  const aged = candidates.toSorted(candidatesByAge);
  return [...aged.filter(holds), ...aged.filter((one) => !holds(one))].map(({ config }) => config);
}

function settleConflicts(candidates: Candidate[], previous: ReadonlyMap<string, RouteConfig>): Candidate[] {
  const claims = new RouteClaims();
  const left: Candidate[] = [];
  const elsewhere = settlePrefixes(byClaim(candidates, previous));
  for (const { verdict, config } of candidates.sort(candidatesByAge)) {
    const taken = elsewhere.get(config);
    const settled = taken === undefined ? claims.settle(config) : { config: null, problems: [taken] };
    verdict.accepted.push(...settled.problems);
    if (settled.config) left.push({ verdict, config: settled.config });
    if (settled.problems.length > 0)
      verdict.live = settled.config === null ? "none" : verdict.live === "current" ? "partial" : verdict.live;
  }
  warnOverlaps(left);
  return left;
}

interface CompiledBudgets {
  budgets: BudgetConfig[];
  watches: BudgetWatch[];
  selecting: Selecting[];
}

/** An error must not lift a limit: a budget that can't be read keeps its published form. */
function keepPublished(verdict: VerdictDraft, config: BudgetConfig, { budgets, selecting }: CompiledBudgets): void {
  budgets.push(config);
  const selector = publishedSelector(config);
  if (selector !== null) selecting.push({ id: config.id, namespace: config.namespace, selector });
  verdict.live = "lastGood";
}

function compileBudgets(
  objects: readonly WorldObject[],
  { world, settings, nowMs, previous }: CompileInput,
  verdicts: VerdictDraft[],
  memo: CompileMemo,
): CompiledBudgets {
  const { parsed, invalid } = parseKind("Budget", objects, memo.budgetSpecs);
  const all: CompiledBudgets = { budgets: [], watches: [], selecting: [] };
  const published = index(previous?.budgets);
  const { currency } = settings.proxy;
  const context = { world, mail: settings.hasMail ?? true, nowMs, ...(currency === undefined ? {} : { currency }) };
  for (const { object, verdict } of parsed) {
    const compiled = compileBudget(object, { ...context, before: published.get(object.id) });
    const { config, selector, watch, accepted } = compiled;
    verdict.accepted = accepted;
    verdict.resolvedRefs = compiled.resolvedRefs;
    if (config === null) continue;
    all.budgets.push(config);
    if (selector !== null) all.selecting.push({ id: object.id, namespace: object.meta.namespace, selector });
    if (watch !== null) all.watches.push(watch);
    verdict.live = accepted.some(isError) ? "partial" : "current";
  }
  for (const verdict of invalid) {
    const config = published.get(idOf(verdict.meta));
    if (config !== undefined) keepPublished(verdict, config, all);
  }
  const drafts = [...parsed.map((entry) => entry.verdict), ...invalid];
  verdicts.push(...drafts);
  const budgets = fitBudgets(drafts, memo.budgets.of(all.budgets.sort(byId)), published).sort(byId);
  const live = index(budgets);
  return {
    budgets,
    watches: all.watches.filter(({ config }) => live.has(config.id)),
    selecting: all.selecting.filter(({ id }) => live.has(id)),
  };
}

const kindOrder: readonly Kind[] = ["LLMProvider", "RoutingPolicy", "Budget", "ApiKey"];

function addEntries(
  verdicts: readonly VerdictDraft[],
  entries: Readonly<Partial<Record<Kind, readonly { id: string }[]>>>,
): void {
  const of = new Map(Object.entries(entries).map(([kind, all]) => [kind, index(all)]));
  for (const verdict of verdicts) verdict.entry = of.get(verdict.kind)?.get(idOf(verdict.meta)) ?? null;
}

function byKind(objects: readonly WorldObject[], memo: CompileMemo): Record<Kind, WorldObject[]> {
  const of: Record<Kind, WorldObject[]> = { LLMProvider: [], RoutingPolicy: [], Budget: [], ApiKey: [] };
  const all = memo.kinds.of(objects, (object) => object.kind);
  for (let at = 0; at < objects.length; at++) of[all[at] as Kind].push(objects[at] as WorldObject);
  return of;
}

/**
 * `memo`: the one passed to the previous call, so that only changes are compiled again. Objects and all other input
 * must then never be changed in place. Verdicts of ApiKeys and entries of the config that did not change are returned
 * as the same objects, which nobody may change.
 */
export function compile(
  input: CompileInput,
  capabilities: Readonly<Record<string, Capabilities>>,
  memo = new CompileMemo(),
): Compiled {
  const verdicts: VerdictDraft[] = [];
  const of = byKind(input.world.objects, memo);
  const view = compileProviders(of.LLMProvider, input, capabilities, verdicts, memo);
  const compiledRoutes = compileRoutes(of.RoutingPolicy, input, view, verdicts, memo);
  const { routes } = compiledRoutes;
  const { budgets, watches, selecting } = compileBudgets(of.Budget, input, verdicts, memo);
  const compiledKeys = compileKeys(
    of.ApiKey,
    input,
    routes,
    selecting,
    memo.keys,
    credentialsInUse([...view.compiled, ...view.live.values()], [...view.alarms, ...compiledRoutes.alarms, ...watches]),
  );
  const keys = fitKeys(compiledKeys, input.previous?.keys);
  const known = new Set(budgets.map((budget) => budget.id));
  const seeds = fitSeeds((input.seeds ?? []).filter((seed) => known.has(seed.budget)));
  verdicts.sort(
    (a, b) => kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind) || (idOf(a.meta) < idOf(b.meta) ? -1 : 1),
  );
  const providers = [...view.live.values()].sort(byId);
  addEntries(verdicts, { LLMProvider: providers, RoutingPolicy: routes, Budget: budgets });
  return {
    config: {
      settings: settingsSchema.parse(input.settings.proxy),
      providers,
      routes,
      budgets,
      keys: keys.keys,
      ...(seeds.length === 0 ? {} : { seeds: [...seeds] }),
    },
    watches,
    // Keys are the last kind.
    verdicts: [...verdicts, ...keys.verdicts],
    others: verdicts,
    canaries: compiledRoutes.canaries,
    alarms: [...view.alarms, ...compiledRoutes.alarms],
  };
}
