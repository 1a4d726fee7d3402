/**
 * The contract between operator and proxy: what is rendered, under which names, and what a proxy accepts.
 *
 * A rendered configuration is a set of small JSON documents, each in a ConfigMap key (or a file) of the same name:
 *
 *   manifest.json     revision, and the SHA-256 of every document that belongs to it
 *   config.json       settings; also providers and budgets, if they fit
 *   providers-N.json  otherwise providers, spread by id over a fixed number of shards
 *   budgets-N.json    otherwise budgets, spread in the same way
 *   routes-N.json     routes, spread by id over a fixed number of shards
 *   seeds.json        past spending under budgets, for a store that has forgotten it; absent if there is none
 *   keys-NN.json      key records, spread by digest over a fixed number of shards
 *
 * Secrets hold `pepper` (the HMAC key of all digests) and `cred-…` (provider credentials, each named by the
 * HMAC-SHA-256 of its content with the pepper, so that the name reveals nothing and a changed value gets a new name).
 *
 * Money is integer nano-USD; durations are integer milliseconds.
 */
import { z } from "zod";
import { bodyLimits } from "./body-limits.ts";
import { type BudgetConfig, type BudgetSeed, budgetConfig, budgetSeed } from "./budget.ts";
import { identitySettings } from "./identity.ts";
import { type KeyRecord, keyRecord } from "./key-record.ts";
import { type ProviderConfig, providerConfig } from "./provider.ts";
import { builtinRoles, roleConfig } from "./roles.ts";
import { type RouteConfig, routeConfig } from "./route.ts";

/**
 * Raised when readers of the previous version could misread a document. A proxy accepts its own version and the
 * previous one.
 */
export const schemaVersion = 1;
/**
 * Version of the manifest and config.json when providers and budgets are sharded, since a reader of version 1 would
 * miss them.
 */
export const shardedSchemaVersion = 2;
export const acceptedSchemaVersions: readonly number[] = [schemaVersion, shardedSchemaVersion];

export const providerShards = 8;
export const budgetShards = 8;
export const routeShards = 8;

/** A ConfigMap or Secret holds 1 MiB. Entries may take up this much, which leaves room for everything else. */
export const documentBytes = 1_000_000;
/**
 * If providers and budgets together take up more than this, they are sharded. The rest of the ConfigMap is for the
 * manifest and seeds.
 */
export const unshardedBytes = 400_000;
export const seedBytes = 250_000;
/** Room in the manifest for names of credentials. */
export const credentialNameBytes = 250_000;
export const keyShards = 32;

/** Whom to trust about where a caller is. */
export const originSettings = z.object({
  /** Networks of trusted proxies in front; only their statements about a caller's address are used. */
  trustedProxies: z.array(z.string()).default([]),
  /** The header with the caller's address. */
  forwardedHeader: z.enum(["X-Forwarded-For", "Forwarded"]).default("X-Forwarded-For"),
  /** Header with the caller's country; lower-case name. */
  countryHeader: z.string().nullable().default(null),
});
export type OriginSettings = z.output<typeof originSettings>;

/** `perUsdMillionths`: millionths of a currency unit per USD. */
export const currency = z.object({ code: z.string(), perUsdMillionths: z.int().min(1) });

export const settings = z.object({
  /** Largest request body in bytes; larger ones get 413. */
  maxBodyBytes: z.int().min(1),
  bodyLimits: bodyLimits.prefault({}),
  origins: originSettings.prefault({}),
  identity: identitySettings.prefault({}),
  /** Origins of web pages that may read answers. */
  cors: z.object({ allowedOrigins: z.array(z.string()).default([]) }).prefault({}),
  roles: z.record(z.string(), roleConfig).default({ ...builtinRoles }),
  /** Currency in which amounts are shown in addition to USD, in which they are counted. Absent for USD only. */
  currency: currency.optional(),
  /** Whether answers say what the caller's tightest budget has left. Absent for no. */
  budgetHeaders: z.boolean().optional(),
});
/** Settings as supplied: members with a default may be absent. */
export type SettingsInput = z.input<typeof settings>;
export type Settings = z.output<typeof settings>;

/** The whole configuration in memory: `compile` produces it, and a snapshot is built from it. */
export interface RenderedConfig {
  settings: Settings;
  /** Sorted by id, as all lists here, so that equal input gives equal bytes. */
  providers: ProviderConfig[];
  routes: RouteConfig[];
  budgets: BudgetConfig[];
  keys: readonly KeyRecord[];
  /**
   * Past spending under budgets. It has its own document, since it changes without any object being edited. Absent if
   * there is none.
   */
  seeds?: BudgetSeed[];
}

export const configDocument = z.object({
  schemaVersion: z.int(),
  settings,
  providers: z.array(providerConfig),
  budgets: z.array(budgetConfig),
});
export const providersDocument = z.object({ schemaVersion: z.int(), providers: z.array(providerConfig) });
export const budgetsDocument = z.object({ schemaVersion: z.int(), budgets: z.array(budgetConfig) });
export const routesDocument = z.object({ schemaVersion: z.int(), routes: z.array(routeConfig) });
export const seedsDocument = z.object({ schemaVersion: z.int(), seeds: z.array(budgetSeed) });
export const keysDocument = z.object({ schemaVersion: z.int(), keys: z.array(keyRecord) });

export const manifestDocument = z.object({
  schemaVersion: z.int(),
  /** The first 12 hex digits of the SHA-256 of the rest of the manifest. */
  revision: z.string(),
  /** SHA-256 of the pepper, lower-case hex. */
  pepperId: z.string(),
  /** Document name → SHA-256 of its bytes, lower-case hex. */
  documents: z.record(z.string(), z.string()),
  /** Names of the credentials in use. Each is derived from the credential's content. */
  credentials: z.array(z.string()),
});
export type Manifest = z.output<typeof manifestDocument>;

/** Everything that is published: bytes by name. */
export interface PublishedConfig {
  manifest: Manifest;
  /** Includes manifest.json. */
  documents: Record<string, string>;
}
