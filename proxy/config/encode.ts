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

/**
 * Returns a copy with members inserted in sorted order. JavaScript, and so JSON, always puts integer-like names such as
 * 12 first, in numeric order.
 */
function inOrder(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const sorted: Record<string, unknown> = {};
  for (const name of Object.keys(value).sort()) {
    const member = inOrder((value as Readonly<Record<string, unknown>>)[name]);
    // Assigning to this name would set the prototype instead.
    if (name === "__proto__") Object.defineProperty(sorted, name, { value: member, enumerable: true });
    else sorted[name] = member;
  }
  return sorted;
}

/** Serializes plain data as JSON with the members of every object sorted by name. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(inOrder(value));
}

export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Digest by which an API key or credential is named and looked up. */
export function keyedDigest(pepper: Uint8Array, secret: string | Uint8Array): string {
  return createHmac("sha256", pepper).update(secret).digest("hex");
}

const blockBytes = 64;
/** Characters of a secret, each at most three bytes. */
const maxInPlaceLength = 512;

/**
 * `keyedDigest` for one pepper and many secrets: HMAC-SHA-256 as in RFC 2104, with both pads computed once. Node's
 * createHmac creates a key object for every digest, which costs more than the hashing.
 */
export class KeyedDigester {
  readonly #inner: Buffer;
  readonly #outer = Buffer.alloc(blockBytes + 32);
  readonly #keyed = Buffer.alloc(blockBytes + maxInPlaceLength * 3);

  constructor(pepper: Uint8Array) {
    const key = Buffer.alloc(blockBytes);
    Buffer.from(pepper.byteLength > blockBytes ? createHash("sha256").update(pepper).digest() : pepper).copy(key);
    this.#inner = Buffer.from(key.map((byte) => byte ^ 0x36));
    Buffer.from(key.map((byte) => byte ^ 0x5c)).copy(this.#outer);
    this.#inner.copy(this.#keyed);
  }

  digest(secret: string): string {
    // Hex, as it takes Node three times as long to return bytes.
    this.#outer.write(this.#innerHash(secret), blockBytes, "hex");
    return hash("sha256", this.#outer, "hex");
  }

  /** The hash of the inner text in hex, in place for all but long secrets: it is wiped once it is hashed. */
  #innerHash(secret: string): string {
    if (secret.length > maxInPlaceLength)
      return hash("sha256", Buffer.concat([this.#inner, Buffer.from(secret)]), "hex");
    const keyed = this.#keyed;
    const end = blockBytes + keyed.write(secret, blockBytes);
    const digest = hash("sha256", keyed.subarray(0, end), "hex");
    for (let index = blockBytes; index < end; index++) keyed[index] = 0;
    return digest;
  }
}

/**
 * The first four hex digits modulo the number of shards. Computed digit by digit, since it runs on every call with a
 * key.
 */
export function keyShardOf(digest: string): number {
  let value = 0;
  for (let index = 0; index < 4; index++) {
    const code = digest.charCodeAt(index);
    value = value * 16 + (code > 0x39 ? code - 0x57 : code - 0x30);
  }
  return value % keyShards;
}
const shardOf = (id: string, shards: number): number => Number.parseInt(sha256Hex(id).slice(0, 4), 16) % shards;
export const routeShardOf = (id: string): number => shardOf(id, routeShards);
export const providerShardOf = (id: string): number => shardOf(id, providerShards);
export const budgetShardOf = (id: string): number => shardOf(id, budgetShards);

const sizes = new WeakMap<object, number>();

/** Bytes that an entry takes up in a document, including its separator. Entries must not be modified in place. */
export function entryBytes(entry: object): number {
  const cached = sizes.get(entry);
  if (cached !== undefined) return cached;
  const bytes = Buffer.byteLength(canonicalJson(entry)) + 1;
  sizes.set(entry, bytes);
  return bytes;
}

const totalBytes = (entries: readonly object[]): number => entries.reduce((sum, entry) => sum + entryBytes(entry), 0);

/** Whether providers and budgets are too large for config.json. */
export const needsShards = ({ providers, budgets }: Pick<RenderedConfig, "providers" | "budgets">): boolean =>
  totalBytes(providers) + totalBytes(budgets) > unshardedBytes;

/** `assigned`: the shard of each entry, in the same order. */
function spread<T>(entries: readonly T[], assigned: readonly number[]): Map<number, T[]> {
  const shards = new Map<number, T[]>();
  for (const [index, shard] of assigned.entries()) {
    const list = shards.get(shard);
    if (list) list.push(entries[index] as T);
    else shards.set(shard, [entries[index] as T]);
  }
  return shards;
}

/** A document and the entries that it was encoded from. */
interface Encoded {
  entries: readonly unknown[];
  bytes: string;
  digest: string;
}

/**
 * What `encode` remembers between calls: a document whose entries are the same objects as before is not encoded again.
 * So entries must not be modified in place.
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

/** Encodes documents by name and the manifest that lists them. The output is the same with a memo as without. */
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
