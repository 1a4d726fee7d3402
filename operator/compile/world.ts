/** The input of compile: plain data. It holds digests and no secret values, so nothing compiled can leak one. */
import type { Kind } from "../../crds/kinds.ts";
import type { BudgetSeed } from "../../proxy/config/budget.ts";
import type { Price } from "../../proxy/config/price.ts";
import type { RenderedConfig, SettingsInput } from "../../proxy/config/schema.ts";

export type CanaryPhase = "Progressing" | "Promoted" | "RolledBack";

/** The operator's findings so far, by route. */
export interface CanaryFact {
  id: string;
  phase: CanaryPhase;
}

/** The rights that the owner of a Secret grants Sluice. */
export interface SecretRights {
  /** Whether providers, client certificates and alert channels may use it. */
  readable: boolean;
  /** Whether Sluice made it or its owner handed it over, so that a missing API key may be added. */
  writable: boolean;
  /** Keys whose values Sluice did not write, and therefore never replaces or deletes. */
  foreign: readonly string[];
  /** Whether the operator may not even read it. */
  forbidden?: true;
}

/** Label of an object: the installation that serves it, where there are several. */
const classLabel = "sluice.dev/class";

export const classOf = ({ labels }: Pick<ObjectMeta, "labels">): string => labels[classLabel] ?? "";

export interface ObjectMeta {
  name: string;
  namespace: string;
  /** Empty in a folder. */
  uid: string;
  generation: number;
  /** Epoch milliseconds; 0 in a folder, where order is by namespace and name. */
  createdAtMs: number;
  labels: Record<string, string>;
  /** Absent if there are none. */
  annotations?: Record<string, string>;
}

/** One object as read: its spec is not validated yet. */
export interface WorldObject {
  kind: Kind;
  meta: ObjectMeta;
  spec: unknown;
  /** Its present status, as read; {} if there is none. */
  status: unknown;
}

/** The same for a certificate and its private key. */
export interface PublicHalf {
  /** SHA-256 of the public key (SubjectPublicKeyInfo), lower-case hex. */
  publicKey: string;
}

/** Why it can't be used, in words that reveal nothing of it. */
export interface Unusable {
  unusable: string;
}

export interface PemFacts {
  /** The first certificate of a value that has one or more: the rest are its chain. */
  certificate?: (PublicHalf & { notAfterMs: number }) | Unusable;
  privateKey?: PublicHalf | Unusable;
}

/** Facts about one value of a Secret. */
export interface SecretFact extends PemFacts {
  /** keyedDigest(pepper, value), lower-case hex. */
  digest: string;
  /** Size in bytes. Absent if unknown. */
  length?: number;
  /** Set if it is shorter than an API key must be. */
  shortForKey?: true;
  /** The first 8 characters if the value looks like an API key made by Sluice (`slc_…`), else "". */
  displayPrefix: string;
  /** Set if the value is an RFC 3339 time: epoch milliseconds. */
  momentMs?: number;
  /** Set if the value can't be sent in a header: empty, too large, with line breaks as in PEM, or not UTF-8 text. */
  unusable?: string;
  /** Set if the value was probably copied with something that doesn't belong to it. */
  doubtful?: string;
}

/** Ready Pods of a Service, from its EndpointSlices. */
export type ServicePods = readonly { readonly address: string; readonly ports: readonly number[] }[];

/** The Service in an InferencePool's `endpointPickerRef`. */
export type PickerFact = { service: string; port: number } | "NoService" | "None";

/** Facts about an InferencePool. */
export type InferencePoolFact =
  | { kind: "Absent" }
  /** `why`: what to do about it. */
  | { kind: "Unreadable"; why: string }
  | {
      kind: "Pool";
      ports: readonly number[];
      picker: PickerFact;
      failOpen: boolean;
      /** Addresses of its ready Pods; null until they are read. */
      addresses: readonly string[] | null;
    };

export interface World {
  objects: WorldObject[];
  /** Namespace → its labels. */
  namespaces: Record<string, Record<string, string>>;
  /** `namespace/name` → key → fact. Only Secrets that objects refer to. */
  secrets: Record<string, Record<string, SecretFact>>;
  /** `namespace/name` of a Service that a pool or an InferencePool names → its Pods. Absent, or without the Service: not read yet. */
  pods?: Readonly<Record<string, ServicePods>>;
  /** `namespace/name` of an InferencePool that a pool names. Absent, or without it: not read yet. */
  inferencePools?: Readonly<Record<string, InferencePoolFact>>;
  /**
   * `namespace/name` → what its owner allows. A Secret that is not listed, as in a folder, may be used for anything.
   */
  secretRights?: Readonly<Record<string, SecretRights>>;
}

/** Decimal percent: what remains after the discount, and the markup on that. */
export interface PriceAdjustment {
  discountPercent?: string | undefined;
  markupPercent?: string | undefined;
}

/** Which identities of clouds some namespaces may use; "*" at the end of an entry stands for any rest. */
export interface CloudIdentityGrant {
  /** "*" for all. */
  namespaces: readonly string[];
  /** ARNs of roles, or Own for the proxies' own. */
  awsRoles: readonly string[];
  azureClients: readonly string[];
  googleServiceAccounts: readonly string[];
}

/** Settings of the installation that compile takes into account. */
export interface CompileSettings {
  proxy: SettingsInput;
  /** Namespaces whose policies may be offered to other namespaces' keys; "*" for all. */
  sharingNamespaces: "*" | string[];
  /** Namespaces whose policies may serve callers without a key; absent, or with "*" in it: all. */
  anonymousNamespaces?: readonly string[];
  /**
   * Namespace → path prefixes that it may claim, with everything below them; "/" is any, `{namespace}` is replaced by
   * its name. "*" is for namespaces that aren't listed, and never overlaps with a prefix that another namespace gets by
   * name. Absent: any.
   */
  pathPrefixes?: Readonly<Record<string, readonly string[]>>;
  /** Namespaces whose providers may be at private addresses; absent, or with "*" in it: all. */
  privateEndpointNamespaces?: readonly string[];
  /** Identities of clouds that namespaces may use; absent: all. */
  cloudIdentities?: readonly CloudIdentityGrant[];
  /** Whether proxies have a database or a header to tell countries; absent if unknown, as when linting. */
  knowsCountries?: boolean;
  /** Whether proxies keep audit records where `audit.required` can rely on them; absent or null if unknown. */
  durableAudit?: boolean | null;
  /** Prices that the installation sets, by provider type and upstream model; they override published ones. */
  prices?: Readonly<Record<string, Readonly<Record<string, Price>>>>;
  /** Labels of ApiKeys that reports can group by; absent: none. */
  reportLabels?: readonly string[];
  /** How the installation's prices differ from looked-up ones; absent if they don't. */
  pricing?: PriceAdjustment;
  /** Whether there is a mail server for alerts; absent if unknown. */
  hasMail?: boolean;
  /**
   * Whether API keys that are too short, or are also used as another credential, are refused; absent: accepted, as in a
   * folder.
   */
  refuseWeakKeys?: boolean;
  /** `proxy.roles` and `proxy.cors` are the installation's; absent if they are unknown. */
  knowsRoles?: boolean;
}

export interface CompileInput {
  world: World;
  settings: CompileSettings;
  /** The published config, from which objects that became invalid keep their last good form. */
  previous: RenderedConfig | null;
  nowMs: number;
  /** Progress of canaries, by `namespace/name` of their policy. Absent: all are at their start. */
  canaries?: ReadonlyMap<string, CanaryFact>;
  /** Models that proxies found at providers, by provider id. */
  discovered?: ReadonlyMap<string, readonly string[]>;
  /** Budgets' past spending, to be rendered. */
  seeds?: readonly BudgetSeed[];
  /** Published price of a provider's model by its upstream name; absent: only prices that objects set. */
  prices?: (provider: string, upstreamModel: string) => Price | null;
  /** Providers in the published price table; absent if unknown. */
  priceSources?: {
    has(provider: string): boolean;
    /** The provider whose API is at this URL; null if the table has none. */
    byEndpoint(url: string): string | null;
  };
}
