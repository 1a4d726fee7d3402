/** Which ConfigMap holds which document. Pure; the chart's volumes name the same objects. */
import { keyShards, type PublishedConfig, routeShards } from "../../proxy/config/schema.ts";

const pad = (shard: number): string => String(shard).padStart(2, "0");

/** Names of all ConfigMaps that may exist, for a prefix such as the release's name. */
export function configMapNames(prefix: string): string[] {
  const routes = Array.from({ length: routeShards }, (_, shard) => `${prefix}-routes-${shard}`);
  const keys = Array.from({ length: keyShards }, (_, shard) => `${prefix}-keys-${pad(shard)}`);
  return [`${prefix}-config`, ...routes, ...keys];
}

/** Secret with what opens the status ports of the proxies, for people who may read reports. */
export const statusSecretName = (prefix: string): string => `${prefix}-status-token`;

export const credentialsSecretName = (prefix: string): string => `${prefix}-credentials`;

function mapOf(prefix: string, document: string): string {
  if (document === "manifest.json" || document === "config.json" || document === "seeds.json")
    return `${prefix}-config`;
  return `${prefix}-${document.replace(/\.json$/, "")}`;
}

/** ConfigMap name → data, shards first and `-config`, which holds the manifest, last: the order in which to write them. */
export function configMapsOf(prefix: string, published: PublishedConfig): Map<string, Record<string, string>> {
  const maps = new Map<string, Record<string, string>>();
  for (const [document, bytes] of Object.entries(published.documents)) {
    const name = mapOf(prefix, document);
    maps.set(name, { ...maps.get(name), [document]: bytes });
  }
  const main = `${prefix}-config`;
  const last = maps.get(main) ?? {};
  maps.delete(main);
  return new Map([...[...maps].sort(([a], [b]) => (a < b ? -1 : 1)), [main, last]]);
}
