/** Builds the snapshot of one revision of the config. Pure. */
import { RE2JS } from "re2js";
import { Origins } from "../access/client-address.ts";
import { accessRules } from "../access/rules.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { KeyedDigester } from "../config/encode.ts";
import { byPrecision, isModelPattern, ModelNames, modelPattern } from "../config/model-pattern.ts";
import { atOnce, type KeylessConfig, type Steps } from "../config/parse.ts";
import type { ProviderConfig } from "../config/provider.ts";
import type { RouteConfig } from "../config/route.ts";
import type { Manifest, RenderedConfig } from "../config/schema.ts";
import { operatorToken, statusToken } from "../config/status-token.ts";
import { ClientTokens } from "../identity/client-tokens.ts";
import { IdSeal } from "../identity/id-seal.ts";
import { TextSeal } from "../identity/text-seal.ts";
import { Masker } from "../masking/masker.ts";
import { additionsOf, tlsOf, upstreamAddress } from "../providers/account.ts";
import type { Provider, ProviderAccount } from "../providers/provider.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";
import { actedNames } from "./acted-names.ts";
import { answerFingerprint } from "./fingerprint.ts";
import { IndexedSnapshot } from "./indexed-snapshot.ts";
import { KeyIndex } from "./keys.ts";
import { KeyPacker, type PackedKeys } from "./packed-keys.ts";
import { roleBudget, roleLimits } from "./role-limits.ts";
import { shadowBudget } from "./shadow-budget.ts";
import type { Embedder, Namespaces, PathEntry, ProviderEntry, Route, RouteTarget, Shadow } from "./snapshot.ts";

const setOrNull = (names: string[] | null): ReadonlySet<string> | null => (names === null ? null : new Set(names));

function accountOf(config: ProviderConfig, credentials: ReadonlyMap<string, string>): ProviderAccount {
  const url = new URL(config.endpoint);
  const clear: Record<string, string> = {};
  for (const [field, name] of Object.entries(config.credentials)) clear[field] = credentials.get(name) ?? "";
  const tokenTls = config.tokenTls === undefined ? {} : { tokenTls: tlsOf(config.tokenTls, credentials) };
  return {
    config,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ""),
    credentials: clear,
    ...additionsOf(config, credentials),
    ...tokenTls,
  };
}

const compiled = (pattern: string): RE2JS => RE2JS.compile(pattern);

/** An embedder outside the allowed regions is never used, whatever the config says. */
function embedderOf({ access, cache }: RouteConfig, providers: ReadonlyMap<string, ProviderEntry>): Embedder | null {
  const semantic = cache?.semantic ?? null;
  const entry = semantic === null ? undefined : providers.get(semantic.provider);
  const model = entry?.models.get(semantic?.model ?? "");
  if (semantic === null || entry === undefined || model === undefined) return null;
  const { region } = entry.account.config;
  if (access.regions !== null && (region === null || !access.regions.includes(region))) return null;
  return {
    config: { name: "", provider: semantic.provider, model: semantic.model, priority: 1, weight: 1 },
    entry,
    model,
  };
}

function seeded({ budgets, seeds = [] }: KeylessConfig): readonly BudgetConfig[] {
  if (seeds.length === 0) return budgets;
  const byBudget = Map.groupBy(seeds, (seed) => seed.budget);
  return budgets.map((budget) =>
    byBudget.has(budget.id) ? { ...budget, seeds: byBudget.get(budget.id) ?? [] } : budget,
  );
}

/** Copies never go outside the allowed regions, whatever the config says. */
function shadowOf({ id, access, shadow }: RouteConfig, providers: ReadonlyMap<string, ProviderEntry>): Shadow | null {
  const entry = shadow === undefined ? undefined : providers.get(shadow.target.provider);
  if (shadow === undefined || entry === undefined) return null;
  const model = shadow.target.model === null ? null : entry.models.get(shadow.target.model);
  const { region } = entry.account.config;
  const mayGoThere = access.regions === null || (region !== null && access.regions.includes(region));
  if (model === undefined || !mayGoThere) return null;
  return { config: shadow.target, entry, model, terms: shadow, budget: shadowBudget(id, shadow) };
}

function routeOf(config: RouteConfig, providers: ReadonlyMap<string, ProviderEntry>): Route {
  const targets: RouteTarget[] = [];
  for (const target of config.routing.targets) {
    const entry = providers.get(target.provider);
    const model = target.model === null ? null : entry?.models.get(target.model);
    if (entry && model !== undefined) targets.push({ config: target, entry, model });
  }
  const embedder = embedderOf(config, providers);
  return {
    config,
    targets,
    embedder,
    shadow: shadowOf(config, providers),
    guard:
      config.guard === null
        ? null
        : { deny: config.guard.deny.map(compiled), allow: config.guard.allow?.map(compiled) ?? null },
    masker: config.guard === null || config.guard.mask === null ? null : new Masker(config.guard.mask),
    resources: config.resources === null ? null : (providers.get(config.resources.provider) ?? null),
    fingerprint: answerFingerprint(config, targets, embedder),
    consumers: config.consumers === "*" ? "*" : new Set(config.consumers),
    roles: setOrNull(config.access.roles),
    teams: setOrNull(config.access.teams),
    tags: setOrNull(config.access.tags),
    rules: accessRules(config.access),
    acted: actedNames(config.request, [
      ...config.routing.targets,
      ...(config.shadow === undefined ? [] : [config.shadow.target]),
    ]),
    regions: setOrNull(config.access.regions),
  };
}

function allConsumers(routes: readonly Route[]): Namespaces {
  const all = new Set<string>();
  for (const { consumers } of routes) {
    if (consumers === "*") return "*";
    for (const namespace of consumers) all.add(namespace);
  }
  return all;
}

function pathEntry(prefix: string, routes: readonly Route[]): PathEntry {
  const byModel = new Map<string, Route[]>();
  const catchAll: Route[] = [];
  for (const route of routes) {
    if (route.config.models === null) catchAll.push(route);
    for (const model of route.config.models ?? []) {
      const claims = byModel.get(model);
      if (claims) claims.push(route);
      else byModel.set(model, [route]);
    }
  }
  const open = routes.filter((route) => route.config.access.anonymous);
  const serves = allConsumers(routes);
  const byPattern = [...byModel]
    .filter(([name]) => isModelPattern(name))
    .map(([name, claims]) => ({ pattern: modelPattern(name), routes: claims }))
    .sort((a, b) => byPrecision(a.pattern, b.pattern));
  for (const { pattern } of byPattern) byModel.delete(pattern.text);
  return { prefix, byModel, byPattern, catchAll, routes, serves, open: open.length === 0 ? null : allConsumers(open) };
}

/** The servers of a pool are called by their own addresses; over TLS they have the endpoint's name. */
function podsOf({ pool }: ProviderConfig, endpoint: UpstreamAddress): Pick<ProviderEntry, "pods"> {
  if (pool === undefined) return {};
  const { protocol, hostname } = new URL(endpoint.origin);
  const { ca = null, serverName = hostname, client = null } = endpoint.tls ?? {};
  const tls = protocol === "https:" ? { tls: { ca, serverName: serverName ?? hostname, client } } : {};
  return {
    pods: pool.pods.map((name) => ({ name, address: { ...endpoint, origin: `${protocol}//${name}`, ...tls } })),
  };
}

function* providersOf(
  config: KeylessConfig,
  credentials: ReadonlyMap<string, string>,
  registry: Readonly<Record<string, Provider>>,
): Steps<Map<string, ProviderEntry>> {
  const providers = new Map<string, ProviderEntry>();
  for (const declared of config.providers) {
    yield;
    const provider = registry[declared.type];
    if (provider === undefined)
      throw new RangeError(`provider ${declared.id} has type ${declared.type}, which this proxy doesn't support`);
    const models = new Map(Object.entries(declared.models).map(([name, model]) => [name, { name, config: model }]));
    const account = accountOf(declared, credentials);
    const address = upstreamAddress(account, credentials);
    providers.set(declared.id, { provider, account, address, models, ...podsOf(declared, address) });
  }
  return providers;
}

function* pathsOf(config: KeylessConfig, providers: ReadonlyMap<string, ProviderEntry>): Steps<Map<string, PathEntry>> {
  const byPrefix = new Map<string, Route[]>([["", []]]);
  for (const declared of config.routes) {
    yield;
    const route = routeOf(declared, providers);
    const routes = byPrefix.get(declared.pathPrefix);
    if (routes) routes.push(route);
    else byPrefix.set(declared.pathPrefix, [route]);
  }
  return new Map([...byPrefix].map(([prefix, routes]) => [prefix, pathEntry(prefix, routes)]));
}

/** The secrets that a snapshot is built with. */
export interface SnapshotSecrets {
  pepper: Uint8Array;
  /** The previous pepper; ids sealed with it still open. */
  previousPepper?: Uint8Array | null;
  credentials: ReadonlyMap<string, string>;
}

/** `build` in steps. */
export function* building(
  config: KeylessConfig,
  packed: readonly PackedKeys[],
  manifest: Manifest,
  secrets: SnapshotSecrets,
  registry: Readonly<Record<string, Provider>>,
): Steps<IndexedSnapshot> {
  const providers = yield* providersOf(config, secrets.credentials, registry);
  const paths = yield* pathsOf(config, providers);
  const previous = secrets.previousPepper ? [secrets.previousPepper] : [];
  const parts = {
    revision: manifest.revision,
    settings: config.settings,
    roles: new Map(
      Object.entries(config.settings.roles).map(([name, role]) => [
        name,
        {
          permissions: new Set(role.permissions),
          models: role.models === null ? null : new ModelNames(role.models),
          limits: roleLimits(role),
          budget: roleBudget(name, role),
        },
      ]),
    ),
    origins: new Origins(config.settings.origins),
    providers,
    paths,
    prefixes: [...paths.keys()].filter((prefix) => prefix !== "").sort((a, b) => b.length - a.length),
    budgets: Map.groupBy(seeded(config), (budget) => budget.namespace),
    clientTokens: new ClientTokens(secrets.pepper),
    statusToken: statusToken(secrets.pepper),
    operatorToken: operatorToken(secrets.pepper),
    ids: new IdSeal(secrets.pepper, providers.keys(), previous),
    summaries: new TextSeal(secrets.pepper, previous),
  };
  return new IndexedSnapshot(parts, new KeyIndex(packed), new KeyedDigester(secrets.pepper));
}

/** Pure. Throws if the config names a provider type that this proxy doesn't have. */
export function build(
  config: RenderedConfig,
  manifest: Manifest,
  secrets: SnapshotSecrets,
  registry: Readonly<Record<string, Provider>>,
): IndexedSnapshot {
  const packer = new KeyPacker();
  for (const record of config.keys) packer.add(record);
  return atOnce(building(config, [packer.kept()], manifest, secrets, registry));
}
