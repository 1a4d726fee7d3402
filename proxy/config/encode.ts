/** RenderedConfig → documents and manifest. Canonical: keys sorted, no white space, so equal input gives equal bytes. */
import { Buffer } from "node:buffer";
import { createHash, createHmac, hash } from "node:crypto";
import type { BudgetConfig } from "./budget.ts";
import { MapMemo, sameList } from "./incremental.ts";
import type { KeyRecord } from "./key-record.ts";
import { credentialNames } from "./names.ts";
import type { ProviderConfig } from "./provider.ts";
import type { RouteConfig } from "./route.ts";
import {
  budgetShards,
  keyShards,
  type Manifest,
  type PublishedConfig,
  providerShards,
  type RenderedConfig,
  routeShards,
  schemaVersion,
  shardedSchemaVersion,
  unshardedBytes,
} from "./schema.ts";

export { credentialName } from "./names.ts";

/** A copy whose members were put in sorted. JavaScript, and so JSON, has names like 12 first all the same, by their number. */
function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const sorted: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) {
    const member = inOrder((value as Readonly<Record<string, unknown>>)[name]);
    // Assigned, a member of that name would become the prototype.
    if (name === "__proto__") Object.defineProperty(sorted, name, { value: member, enumerable: true });
    else sorted[name] = member;
  }
  return sorted;
}

/** Plain data as JSON with the members of every object sorted by name. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(inOrder(value));
}

export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Digest of an API key or credential, by which it is named and found. */
export function keyedDigest(pepper: Uint8Array, secret: string | Uint8Array): string {
  return createHmac("sha256", pepper).update(secret).digest("hex");
}

const blockBytes = 64;

/**
 * `keyedDigest` for one pepper and many secrets: HMAC-SHA-256 as RFC 2104 defines it, with both pads made once. Node's
 * createHmac makes a key object for every digest, which costs more than the hashing.
 */
export function keyedDigester(pepper: Uint8Array): (secret: string) => string {
  const key = Buffer.alloc(blockBytes);
  Buffer.from(pepper.byteLength > blockBytes ? createHash("sha256").update(pepper).digest() : pepper).copy(key);
  const inner = Buffer.from(key.map((byte) => byte ^ 0x36));
  const outer = Buffer.alloc(blockBytes + 32);
  Buffer.from(key.map((byte) => byte ^ 0x5c)).copy(outer);
  return (secret) => {
    hash("sha256", Buffer.concat([inner, Buffer.from(secret)]), "buffer").copy(outer, blockBytes);
    return hash("sha256", outer, "hex");
  };
}

/** The first four digits, modulo the number of shards. Digit by digit, since every call with a key asks. */
export function keyShardOf(digest: string): number {
  let value = 0;
  for (let at = 0; at < 4; at++) {
    const code = digest.charCodeAt(at);
    value = value * 16 + (code > 0x39 ? code - 0x57 : code - 0x30);
  }
  return value % keyShards;
}
const shardOf = (id: string, shards: number): number => Number.parseInt(sha256Hex(id).slice(0, 4), 16) % shards;
export const routeShardOf = (id: string): number => shardOf(id, routeShards);
export const providerShardOf = (id: string): number => shardOf(id, providerShards);
export const budgetShardOf = (id: string): number => shardOf(id, budgetShards);

const sizes = new WeakMap<object, number>();

/** Bytes that an entry takes in a document, with what parts it from the next. Entries must not be changed in place. */
export function entryBytes(entry: object): number {
  const known = sizes.get(entry);
  if (known !== undefined) return known;
  const bytes = Buffer.byteLength(canonicalJson(entry)) + 1;
  sizes.set(entry, bytes);
  return bytes;
}

const totalBytes = (entries: readonly object[]): number => entries.reduce((sum, entry) => sum + entryBytes(entry), 0);

/** Providers and budgets are too large for config.json. */
export const needsShards = ({ providers, budgets }: Pick<RenderedConfig, "providers" | "budgets">): boolean =>
  totalBytes(providers) + totalBytes(budgets) > unshardedBytes;

/** `of`: the shard of each of `entries`. */
function spread<T>(entries: readonly T[], of: readonly number[]): Map<number, T[]> {
  const shards = new Map<number, T[]>();
  for (const [at, shard] of of.entries()) {
    const list = shards.get(shard);
    if (list) list.push(entries[at] as T);
    else shards.set(shard, [entries[at] as T]);
  }
  return shards;
}

/** A document, and the entries that it was made of. */
interface Encoded {
  entries: readonly unknown[];
  bytes: string;
  digest: string;
}

/**
 * What `encode` remembers from one time to the next: a document whose entries are the same objects as before is not
 * written again. Entries must not be changed in place then.
 */
export class EncodeMemo {
  readonly documents = new Map<string, Encoded>();
  readonly shards = {
    keys: new MapMemo<KeyRecord, number>(),
    routes: new MapMemo<RouteConfig, number>(),
    providers: new MapMemo<ProviderConfig, number>(),
    budgets: new MapMemo<BudgetConfig, number>(),
  };
}

function encoded(name: string, entries: readonly unknown[], write: () => unknown, memo: EncodeMemo): Encoded {
  const before = memo.documents.get(name);
  if (before !== undefined && sameList(before.entries, entries)) return before;
  const bytes = canonicalJson(write());
  const now = { entries, bytes, digest: sha256Hex(bytes) };
  memo.documents.set(name, now);
  return now;
}

function allDocuments(config: RenderedConfig, memo: EncodeMemo): Map<string, Encoded> {
  const { settings, providers, budgets, seeds = [], routes, keys } = config;
  const { shards } = memo;
  const documents = new Map<string, Encoded>();
  const add = (name: string, entries: readonly unknown[], content: object, version = schemaVersion): void => {
    documents.set(
      name,
      encoded(name, entries, () => ({ schemaVersion: version, ...content }), memo),
    );
  };
  if (needsShards(config)) {
    add("config.json", [canonicalJson(settings)], { settings, providers: [], budgets: [] }, shardedSchemaVersion);
    for (const [shard, entries] of spread(
      providers,
      shards.providers.of(providers, ({ id }) => providerShardOf(id)),
    ))
      add(`providers-${shard}.json`, entries, { providers: entries });
    for (const [shard, entries] of spread(
      budgets,
      shards.budgets.of(budgets, ({ id }) => budgetShardOf(id)),
    ))
      add(`budgets-${shard}.json`, entries, { budgets: entries });
  } else
    add("config.json", [canonicalJson(settings), providers.length, ...providers, ...budgets], {
      settings,
      providers,
      budgets,
    });
  if (seeds.length > 0) add("seeds.json", seeds, { seeds });
  for (const [shard, entries] of spread(
    routes,
    shards.routes.of(routes, ({ id }) => routeShardOf(id)),
  ))
    add(`routes-${shard}.json`, entries, { routes: entries });
  for (const [shard, entries] of spread(
    keys,
    shards.keys.of(keys, ({ digest }) => keyShardOf(digest)),
  )) {
    add(`keys-${String(shard).padStart(2, "0")}.json`, entries, { keys: entries });
  }
  for (const name of [...memo.documents.keys()]) if (!documents.has(name)) memo.documents.delete(name);
  return documents;
}

/** Documents by name, and the manifest that ties them together. The output is the same with a memo as without. */
export function encode(config: RenderedConfig, pepperId: string, memo = new EncodeMemo()): PublishedConfig {
  const all = [...allDocuments(config, memo)];
  const documents = Object.fromEntries(all.map(([name, { bytes }]) => [name, bytes]));
  const credentials = [...new Set(config.providers.flatMap(credentialNames))].sort();
  const digests = Object.fromEntries(all.map(([name, { digest }]) => [name, digest]));
  const version = needsShards(config) ? shardedSchemaVersion : schemaVersion;
  const manifest = manifestOf({ schemaVersion: version, pepperId, documents: digests, credentials });
  documents["manifest.json"] = canonicalJson(manifest);
  return { manifest, documents };
}

export function manifestOf(rest: Omit<Manifest, "revision">): Manifest {
  return { ...rest, revision: sha256Hex(canonicalJson(rest)).slice(0, 12) };
}
