/** An immutable view of one revision of the config, arranged for look-up. A request reads it once and keeps it. */
import type { RE2JS } from "re2js";
import type { Origins } from "../access/client-address.ts";
import type { AccessRules } from "../access/rules.ts";
import type { BudgetConfig } from "../config/budget.ts";
import type { KeyRecord } from "../config/key-record.ts";
import type { LimitConfig } from "../config/limits.ts";
import type { ModelNames, ModelPattern } from "../config/model-pattern.ts";
import type { Permission } from "../config/roles.ts";
import type { RouteConfig, ShadowConfig, TargetConfig } from "../config/route.ts";
import type { Settings } from "../config/schema.ts";
import type { ClientTokens } from "../identity/client-tokens.ts";
import type { IdSeal } from "../identity/id-seal.ts";
import type { TextSeal } from "../identity/text-seal.ts";
import type { Masker } from "../masking/masker.ts";
import type { Provider, ProviderAccount, ProviderModel } from "../providers/provider.ts";
import type { UpstreamAddress } from "../wire/upstream-address.ts";
import type { ActedNames } from "./acted-names.ts";
import type { FoundKey } from "./keys.ts";
import type { LastKey } from "./last-key.ts";

export interface ProviderEntry {
  readonly provider: Provider;
  readonly account: ProviderAccount;
  /** The same object for the snapshot's lifetime. */
  readonly address: UpstreamAddress;
  readonly models: ReadonlyMap<string, ProviderModel>;
  /** Servers of the pool. Absent if it is none. */
  readonly pods?: readonly PodEntry[];
}

/** One server of a pool. */
export interface PodEntry {
  /** `host:port` */
  readonly name: string;
  readonly address: UpstreamAddress;
}

/** A place to which a route can send a request. */
export interface RouteTarget {
  readonly config: TargetConfig;
  readonly entry: ProviderEntry;
  /** null for the model that the caller asked for. */
  readonly model: ProviderModel | null;
}

/** Where copies of a route's calls go. */
export interface Shadow extends RouteTarget {
  readonly terms: ShadowConfig;
  /** Of all copies of a day; null if their cost is not limited. */
  readonly budget: BudgetConfig | null;
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
  /** null if no calls are copied. */
  readonly shadow: Shadow | null;
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
  /** Routes that claim models by a pattern, in the order in which patterns are tried. */
  readonly byPattern: readonly { readonly pattern: ModelPattern; readonly routes: readonly Route[] }[];
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
  readonly models: ModelNames | null;
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
  /** Returns the record of a clear key, whatever its state, or null. `last`: of the connection that it came by. */
  findKey(clear: string, last?: LastKey): FoundKey | null;
  /** Returns the records of the ApiKey `namespace/name`, whatever their state. */
  keysOf(id: string): readonly KeyRecord[];
  readonly clientTokens: ClientTokens;
  /** The token that opens the status port. */
  readonly statusToken: string;
  /** The token with which the operator changes something at the status port. */
  readonly operatorToken: string;
  /** Seals the ids of what providers keep for callers. */
  readonly ids: IdSeal;
  /** Seals summaries of conversations, which callers keep. */
  readonly summaries: TextSeal;
}
