/** What compile sees: plain data. No secret value is in it, only digests, so nothing compiled can leak one. */
import type { Kind } from "../../crds/kinds.ts";
import type { BudgetSeed } from "../../proxy/config/budget.ts";
import type { Price } from "../../proxy/config/price.ts";
import type { RenderedConfig, SettingsInput } from "../../proxy/config/schema.ts";

export type CanaryPhase = "Progressing" | "Promoted" | "RolledBack";

/** What the operator found out so far, by route. */
export interface CanaryFact {
  id: string;
  phase: CanaryPhase;
}

/** What the owner of a Secret lets Sluice do with it. */
export interface SecretRights {
  /** Providers, client certificates and alert channels may use it. */
  readable: boolean;
  /** Sluice made it, or its owner handed it over: a missing API key may be added. */
  writable: boolean;
  /** Keys whose values Sluice did not write: it never replaces or deletes them. */
  foreign: readonly string[];
}

export interface ObjectMeta {
  name: string;
  namespace: string;
  /** Empty in a folder. */
  uid: string;
  generation: number;
  /** Epoch milliseconds; 0 in a folder, where order is by namespace and name. */
  createdAtMs: number;
  labels: Record<string, string>;
  /** Absent where there are none. */
  annotations?: Record<string, string>;
}

/** One object as it was read: its spec is not validated yet. */
export interface WorldObject {
  kind: Kind;
  meta: ObjectMeta;
  spec: unknown;
  /** The status that it carries, as read; {} where there is none. */
  status: unknown;
}

/** The same for a certificate and the key that it was made for. */
export interface PublicHalf {
  /** SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hex. */
  publicKey: string;
}

/** Why it is of no use, in words that hold nothing of it. */
export interface Unusable {
  unusable: string;
}

export interface PemFacts {
  /** The first certificate of a value that has one or more: the rest are its chain. */
  certificate?: (PublicHalf & { notAfterMs: number }) | Unusable;
  privateKey?: PublicHalf | Unusable;
}

/** What is known of one value of a Secret. */
export interface SecretFact extends PemFacts {
  /** keyedDigest(pepper, value), lower-case hex. */
  digest: string;
  /** Bytes. Absent where nobody can say. */
  length?: number;
  /** Set where it is shorter than an API key must be. */
  shortForKey?: true;
  /** The first 8 characters where the value looks like an API key made by Sluice (`slc_…`), else "". */
  displayPrefix: string;
  /** Set where the value is a moment of RFC 3339: epoch milliseconds. */
  momentMs?: number;
  /** Set where the value can't be sent in a header: empty, too large, with line ends as PEM has them, or not UTF-8 text. */
  unusable?: string;
}

export interface World {
  objects: WorldObject[];
  /** Namespace → its labels. */
  namespaces: Record<string, Record<string, string>>;
  /** `namespace/name` → key → fact. Only Secrets that objects refer to. */
  secrets: Record<string, Record<string, SecretFact>>;
  /** `namespace/name` → what its owner allows. A Secret that is not named here, as in a folder, may be used for anything. */
  secretRights?: Readonly<Record<string, SecretRights>>;
}

/** Decimal percent: what is left after the discount, and the markup on that. */
export interface PriceAdjustment {
  discountPercent?: string | undefined;
  markupPercent?: string | undefined;
}

/** Settings of the installation that compile obeys. */
export interface CompileSettings {
  proxy: SettingsInput;
  /** Namespaces whose policies may be offered to other namespaces' keys; "*" for all. */
  sharingNamespaces: "*" | string[];
  /** Namespaces whose policies may serve callers without a key; absent, or with "*" in it: all. */
  anonymousNamespaces?: readonly string[];
  /**
   * Namespace → path prefixes that it may claim, with what is below them; "/" is any, `{namespace}` stands for its name.
   * "*" is for namespaces that aren't named, and never overlaps with what another one is given by name. Absent: any.
   */
  pathPrefixes?: Readonly<Record<string, readonly string[]>>;
  /** Namespaces whose providers may be at private addresses; absent, or with "*" in it: all. */
  privateEndpointNamespaces?: readonly string[];
  /** Proxies have a database or a header to tell countries by; absent where nobody can say, as when linting. */
  knowsCountries?: boolean;
  /** Prices that the installation sets, by provider type and upstream model; they go before published ones. */
  prices?: Readonly<Record<string, Readonly<Record<string, Price>>>>;
  /** By how much looked-up prices differ from what the installation charges; absent: not at all. */
  pricing?: PriceAdjustment;
  /** There is a mail server for alerts; absent where nobody can say. */
  hasMail?: boolean;
  /** API keys that are too short, or used as another credential too, are refused; absent: taken, as in a folder. */
  refuseWeakKeys?: boolean;
  /** `proxy.roles` are all that there are; absent where nobody can say. */
  knowsRoles?: boolean;
}

export interface CompileInput {
  world: World;
  settings: CompileSettings;
  /** What is published now, from which an object that became invalid keeps its last good form. */
  previous: RenderedConfig | null;
  nowMs: number;
  /** How far canaries have come, by `namespace/name` of their policy. Absent: all begin. */
  canaries?: ReadonlyMap<string, CanaryFact>;
  /** What budgets had spent, to be rendered. */
  seeds?: readonly BudgetSeed[];
  /** Published price of a provider's model by its upstream name; absent: only prices that objects give. */
  prices?: (provider: string, upstreamModel: string) => Price | null;
  /** What the published table has; absent: nobody can say. */
  priceSources?: {
    has(provider: string): boolean;
    /** The provider whose API is at this URL; null where it is none of the table's. */
    byEndpoint(url: string): string | null;
  };
}

export type ObjectRef = `${Kind}/${string}/${string}`;
