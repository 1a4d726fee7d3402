/** An immutable view of one revision of the config, arranged for look-up. A request reads it once and keeps it. */
import { RE2JS } from "re2js";
import { Origins } from "../access/client-address.ts";
import { type AccessRules, accessRules } from "../access/rules.ts";
import type { BudgetConfig } from "../config/budget.ts";
import { canonicalJson, keyedDigester, sha256Hex } from "../config/encode.ts";
import type { KeyRecord } from "../config/key-record.ts";
import type { LimitConfig } from "../config/limits.ts";
import { atOnce, type KeylessConfig, type Steps } from "../config/parse.ts";
import type { ProviderConfig } from "../config/provider.ts";
import type { Permission, RoleConfig } from "../config/roles.ts";
import type { RouteConfig, TargetConfig } from "../config/route.ts";
import type { Manifest, RenderedConfig, Settings } from "../config/schema.ts";
import { statusToken } from "../config/status-token.ts";
import { ClientTokens } from "../identity/client-tokens.ts";
import { IdSeal } from "../identity/id-seal.ts";
import { Masker } from "../masking/masker.ts";
import {
  type Provider,
  type ProviderAccount,
  type ProviderModel,
  tlsOf,
  upstreamAddress,
} from "../providers/provider.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";
import { type ActedNames, actedNames } from "./acted-names.ts";
import { type FoundKey, KeyIndex } from "./keys.ts";
import { KeyPacker, type PackedKeys } from "./packed-keys.ts";

export interface ProviderEntry {
  readonly provider: Provider;
  readonly account: ProviderAccount;
  /** The same object for the snapshot's lifetime. */
  readonly address: UpstreamAddress;
  readonly models: ReadonlyMap<string, ProviderModel>;
}

/** A place to which a route can send a request. */
export interface RouteTarget {
  readonly config: TargetConfig;
  readonly entry: ProviderEntry;
  /** null for the model that the caller asked for. */
  readonly model: ProviderModel | null;
}

/** A target for the gateway's own embeddings calls. */
export interface Embedder extends RouteTarget {
  readonly model: ProviderModel;
}

export interface Route {
  readonly config: RouteConfig;
  readonly targets: readonly RouteTarget[];
  readonly consumers: Namespaces;
  readonly roles: ReadonlySet<string> | null;
  readonly teams: ReadonlySet<string> | null;
  readonly tags: ReadonlySet<string> | null;
  /** The policy's compiled patterns, or null if it has none. */
  readonly guard: { readonly deny: readonly RE2JS[]; readonly allow: readonly RE2JS[] | null } | null;
  /** null if nothing is masked. */
  readonly masker: Masker | null;
  /** The provider that keeps files, batches and fine-tuning jobs, or null if the route doesn't serve them. */
  readonly resources: ProviderEntry | null;
  /** The model that embeds texts for semantic caching, or null if only equal calls are served from the cache. */
  readonly embedder: Embedder | null;
  /**
   * Changes with anything that could change an answer: the policy, its targets, their pinned models. "" if nothing is
   * cached.
   */
  readonly fingerprint: string;
  readonly rules: AccessRules;
  readonly acted: ActedNames;
  /** Regions in which data may be processed; null for any. */
  readonly regions: ReadonlySet<string> | null;
}

/** Routes under one path prefix. */
export interface PathEntry {
  readonly prefix: string;
  /** Model → routes that claim it. Their consumers don't overlap; the compiler ensures that. */
  readonly byModel: ReadonlyMap<string, readonly Route[]>;
  /** Routes that accept any model. */
  readonly catchAll: readonly Route[];
  readonly routes: readonly Route[];
  /** Namespaces whose keys can use a route here. */
  readonly serves: Namespaces;
  /** Namespaces that own open routes here or that they are shared with; null if no route is open. */
  readonly open: Namespaces | null;
}

export type Namespaces = ReadonlySet<string> | "*";

/** What the holders of a key with this role may do. */
export interface Role {
  readonly permissions: ReadonlySet<Permission>;
  readonly models: ReadonlySet<string> | null;
  /** Limits for each of the role's users. */
  readonly limits: readonly LimitConfig[];
  readonly budget: BudgetConfig | null;
}

export interface Snapshot {
  readonly revision: string;
  readonly settings: Settings;
  readonly roles: ReadonlyMap<string, Role>;
  /** Where calls may come from. */
  readonly origins: Origins;
  readonly providers: ReadonlyMap<string, ProviderEntry>;
  /** Always has the prefix "", which stands for /v1. */
  readonly paths: ReadonlyMap<string, PathEntry>;
  /** Longest prefix first, without "". */
  readonly prefixes: readonly string[];
  readonly keyCount: number;
  /** Budgets by namespace. */
  readonly budgets: ReadonlyMap<string, readonly BudgetConfig[]>;
  /** Returns a keyed digest of a text: the same on all proxies, and of no use for confirming a guess at the text. */
  digest(text: string): string;
  /** Returns the record of a clear key, whatever its state, or null. */
  findKey(clear: string): FoundKey | null;
  /** Returns the records of the ApiKey `namespace/name`, whatever their state. */
  keysOf(id: string): readonly KeyRecord[];
  readonly clientTokens: ClientTokens;
  /** The token that opens the status port. */
  readonly statusToken: string;
  /** Seals the ids of what providers keep for callers. */
  readonly ids: IdSeal;
}

const setOrNull = (names: string[] | null): ReadonlySet<string> | null => (names === null ? null : new Set(names));

function accountOf(config: ProviderConfig, credentials: ReadonlyMap<string, string>): ProviderAccount {
  const url = new URL(config.endpoint);
  const clear: Record<string, string> = {};
  for (const [field, name] of Object.entries(config.credentials)) clear[field] = credentials.get(name) ?? "";
  const tokenTls = config.tokenTls === undefined ? {} : { tokenTls: tlsOf(config.tokenTls, credentials) };
  return { config, origin: url.origin, basePath: url.pathname.replace(/\/+$/, ""), credentials: clear, ...tokenTls };
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

/** Includes the embedder, since vectors of two models can't be compared. */
function fingerprint(config: RouteConfig, targets: readonly RouteTarget[], embedder: Embedder | null): string {
  if (config.cache === null) return "";
  const asked = (embedder === null ? targets : [...targets, embedder]).map(({ entry, model }) => {
    const models = model === null ? [...entry.models.values()] : [model];
    const { id, type, endpoint, options } = entry.account.config;
    return [id, type, endpoint, options, models.map(({ name, config: { upstream } }) => [name, upstream])];
  });
  const { watch: _, ...what } = config;
  return sha256Hex(canonicalJson([what, asked]));
}

function seeded({ budgets, seeds = [] }: KeylessConfig): readonly BudgetConfig[] {
  if (seeds.length === 0) return budgets;
  const byBudget = Map.groupBy(seeds, (seed) => seed.budget);
  return budgets.map((budget) =>
    byBudget.has(budget.id) ? { ...budget, seeds: byBudget.get(budget.id) ?? [] } : budget,
  );
}

const dayMs = 86_400_000;

function roleLimits({ limits }: RoleConfig): LimitConfig[] {
  const daily = (of: "Requests" | "Tokens", amount: number | null | undefined): LimitConfig[] =>
    amount === null || amount === undefined ? [] : [{ per: "User", of, amount, windowMs: dayMs, onStateLoss: "allow" }];
  return [...daily("Requests", limits?.requestsPerDay), ...daily("Tokens", limits?.tokensPerDay)];
}

const everything: BudgetConfig["scope"] = {
  users: null,
  teams: null,
  roles: null,
  tags: null,
  models: null,
  providers: null,
  apiKeys: null,
  selected: false,
};

/** Returns a role's cost limit as a hard daily budget for each of its users. */
function roleBudget(name: string, { limits }: RoleConfig): BudgetConfig | null {
  if (limits === null || limits.nanoUsdPerDay === null) return null;
  const terms = {
    amountNanoUsd: limits.nanoUsdPerDay,
    period: "Daily",
    timeZone: "UTC",
    per: "User",
    enforcement: "Hard",
    onStateLoss: "deny",
  } as const;
  return {
    id: `role ${name}`,
    namespace: "",
    scope: everything,
    ...terms,
    throttle: null,
    limits: [],
    expiresAtMs: null,
    seeds: [],
  };
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
    guard:
      config.guard === null
        ? null
        : { deny: config.guard.deny.map(compiled), allow: config.guard.allow?.map(compiled) ?? null },
    masker: config.guard === null || config.guard.mask === null ? null : new Masker(config.guard.mask),
    resources: config.resources === null ? null : (providers.get(config.resources.provider) ?? null),
    fingerprint: fingerprint(config, targets, embedder),
    consumers: config.consumers === "*" ? "*" : new Set(config.consumers),
    roles: setOrNull(config.access.roles),
    teams: setOrNull(config.access.teams),
    tags: setOrNull(config.access.tags),
    rules: accessRules(config.access),
    acted: actedNames(config.request),
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
  return { prefix, byModel, catchAll, routes, serves, open: open.length === 0 ? null : allConsumers(open) };
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
    providers.set(declared.id, { provider, account, address: upstreamAddress(account, credentials), models });
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
): Steps<Snapshot> {
  const providers = yield* providersOf(config, secrets.credentials, registry);
  const paths = yield* pathsOf(config, providers);
  const keys = new KeyIndex(packed);
  const digest = keyedDigester(secrets.pepper);
  return {
    revision: manifest.revision,
    settings: config.settings,
    roles: new Map(
      Object.entries(config.settings.roles).map(([name, role]) => [
        name,
        {
          permissions: new Set(role.permissions),
          models: setOrNull(role.models),
          limits: roleLimits(role),
          budget: roleBudget(name, role),
        },
      ]),
    ),
    origins: new Origins(config.settings.origins),
    providers,
    paths,
    prefixes: [...paths.keys()].filter((prefix) => prefix !== "").sort((a, b) => b.length - a.length),
    keyCount: keys.size,
    budgets: Map.groupBy(seeded(config), (budget) => budget.namespace),
    digest,
    findKey: (clear) => keys.find(digest(clear)),
    keysOf: (id) => keys.of(id),
    clientTokens: new ClientTokens(secrets.pepper),
    statusToken: statusToken(secrets.pepper),
    ids: new IdSeal(secrets.pepper, providers.keys(), secrets.previousPepper ? [secrets.previousPepper] : []),
  };
}

/** Pure. Throws if the config names a provider type that this proxy doesn't have. */
export function build(
  config: RenderedConfig,
  manifest: Manifest,
  secrets: SnapshotSecrets,
  registry: Readonly<Record<string, Provider>>,
): Snapshot {
  const packer = new KeyPacker();
  for (const record of config.keys) packer.add(record);
  return atOnce(building(config, [packer.kept()], manifest, secrets, registry));
}
