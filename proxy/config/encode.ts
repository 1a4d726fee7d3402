/** RenderedConfig → documents and manifest. Canonical: keys sorted, no white space, so equal input gives equal bytes. */
import { Buffer } from "node:buffer";
import { createHash, createHmac, hash } from "node:crypto";

export { credentialName } from "./names.ts";

import { keyShards, type Manifest, type PublishedConfig, type RenderedConfig, routeShards, schemaVersion } from "./schema.ts";

export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
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

const keyShardOf = (digest: string): number => Number.parseInt(digest.slice(0, 4), 16) % keyShards;
const routeShardOf = (id: string): number => Number.parseInt(sha256Hex(id).slice(0, 4), 16) % routeShards;

function spread<T>(entries: readonly T[], shardOf: (entry: T) => number): Map<number, T[]> {
  const shards = new Map<number, T[]>();
  for (const entry of entries) {
    const shard = shardOf(entry);
    const list = shards.get(shard);
    if (list) list.push(entry);
    else shards.set(shard, [entry]);
  }
  return shards;
}

/** Documents by name, and the manifest that ties them together. */
export function encode(config: RenderedConfig, pepperId: string): PublishedConfig {
  const documents: Record<string, string> = {
    "config.json": canonicalJson({ schemaVersion, settings: config.settings, providers: config.providers, budgets: config.budgets }),
  };
  if (config.seeds !== undefined && config.seeds.length > 0) documents["seeds.json"] = canonicalJson({ schemaVersion, seeds: config.seeds });
  for (const [shard, routes] of spread(config.routes, (route) => routeShardOf(route.id))) {
    documents[`routes-${shard}.json`] = canonicalJson({ schemaVersion, routes });
  }
  for (const [shard, keys] of spread(config.keys, (key) => keyShardOf(key.digest))) {
    documents[`keys-${String(shard).padStart(2, "0")}.json`] = canonicalJson({ schemaVersion, keys });
  }
  const credentials = [...new Set(config.providers.flatMap((provider) => Object.values(provider.credentials)))].sort();
  const digests = Object.fromEntries(Object.entries(documents).map(([name, bytes]) => [name, sha256Hex(bytes)]));
  const rest = { schemaVersion, pepperId, documents: digests, credentials };
  const manifest: Manifest = { ...rest, revision: sha256Hex(canonicalJson(rest)).slice(0, 12) };
  documents["manifest.json"] = canonicalJson(manifest);
  return { manifest, documents };
}
