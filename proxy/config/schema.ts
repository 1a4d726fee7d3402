/**
 * The contract between operator and proxy: what is rendered, under which names, and what a proxy accepts.
 *
 * A rendered configuration is a set of small JSON documents, each in a ConfigMap key (or a file) of the same name:
 *
 *   manifest.json     revision, and the SHA-256 of every document that belongs to it
 *   config.json       settings; providers and budgets as long as they fit
 *   providers-N.json  else providers, spread by id over a fixed number of shards
 *   budgets-N.json    else budgets, in the same way
 *   routes-N.json     routes, spread by id over a fixed number of shards
 *   seeds.json        what budgets had spent, for a store that has forgotten it; absent where there is nothing to tell
 *   keys-NN.json      key records, spread by digest over a fixed number of shards
 *
 * and one Secret: `pepper` (the HMAC key of all digests) and `cred-…` (provider credentials under names made from
 * their content, HMAC-SHA-256 with the pepper, so that a name tells nothing and a changed value gets a new name).
 *
 * Money is integer nano-USD; durations are integer milliseconds.
 */
import { z } from "zod";
import { type BudgetConfig, type BudgetSeed, budgetConfig, budgetSeed } from "./budget.ts";
import { identitySettings } from "./identity.ts";
import { type KeyRecord, keyRecord } from "./key-record.ts";
import { type ProviderConfig, providerConfig } from "./provider.ts";
import { builtinRoles, roleConfig } from "./roles.ts";
import { type RouteConfig, routeConfig } from "./route.ts";

/** Bumped when a reader of the version before could misread a document. A proxy accepts its own and the one before. */
export const schemaVersion = 1;
/** Of the manifest and config.json where providers and budgets are in shards, which a reader of version 1 would miss. */
export const shardedSchemaVersion = 2;
export const acceptedSchemaVersions: readonly number[] = [schemaVersion, shardedSchemaVersion];

export const providerShards = 8;
export const budgetShards = 8;
export const routeShards = 8;

/** A ConfigMap or a Secret holds 1 MiB; what entries may take of it leaves room for what is around them. */
export const documentBytes = 1_000_000;
/** Providers and budgets that take more than this together go into shards. The rest of the ConfigMap is for manifest and seeds. */
export const unshardedBytes = 400_000;
export const seedBytes = 250_000;
/** Names of credentials, in the manifest. */
export const credentialNameBytes = 250_000;
export const keyShards = 32;

/** Whom to believe about where a caller is. */
export const originSettings = z.object({
  /** Networks of proxies in front; only what they say of a caller's address is believed. */
  trustedProxies: z.array(z.string()).default([]),
  /** The one header in which they say it. */
  forwardedHeader: z.enum(["X-Forwarded-For", "Forwarded"]).default("X-Forwarded-For"),
  /** Header in which they give the caller's country, in lower case. */
  countryHeader: z.string().nullable().default(null),
});
export type OriginSettings = z.output<typeof originSettings>;

/** `perUsdMillionths`: millionths of a unit for one USD. */
export const currency = z.object({ code: z.string(), perUsdMillionths: z.int().min(1) });

export const settings = z.object({
  /** Largest request body in bytes; larger ones get 413. */
  maxBodyBytes: z.int().min(1),
  origins: originSettings.prefault({}),
  identity: identitySettings.prefault({}),
  /** Origins of web pages that may read answers. */
  cors: z.object({ allowedOrigins: z.array(z.string()).default([]) }).prefault({}),
  roles: z.record(z.string(), roleConfig).default({ ...builtinRoles }),
  /** What money is shown in beside USD, in which it is counted. Absent: nothing. */
  currency: currency.optional(),
});
/** As given: what has a default may be absent. */
export type SettingsInput = z.input<typeof settings>;
export type Settings = z.output<typeof settings>;

/** The whole of it in memory: what `compile` makes and a snapshot is built from. */
export interface RenderedConfig {
  settings: Settings;
  /** Sorted by id, as all lists here are, so that equal input gives equal bytes. */
  providers: ProviderConfig[];
  routes: RouteConfig[];
  budgets: BudgetConfig[];
  keys: readonly KeyRecord[];
  /** What budgets had spent; in a document of its own, since it changes without anybody's changing an object. Absent: nothing. */
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
  /** The first 12 hex digits of the SHA-256 over the rest of the manifest. */
  revision: z.string(),
  /** SHA-256 of the pepper, lower-case hex. */
  pepperId: z.string(),
  /** Document name → SHA-256 of its bytes, lower-case hex. */
  documents: z.record(z.string(), z.string()),
  /** Names of the credentials in use; a name is derived from its content. */
  credentials: z.array(z.string()),
});
export type Manifest = z.output<typeof manifestDocument>;

/** Everything that is published, as bytes under names. */
export interface PublishedConfig {
  manifest: Manifest;
  /** manifest.json included. */
  documents: Record<string, string>;
}
