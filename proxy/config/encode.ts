/** RenderedConfig → documents and manifest. Canonical: keys sorted, no white space, so equal input gives equal bytes. */
import { createHash, createHmac } from "node:crypto";

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
