/** The content of each published ConfigMap and Secret. Pure; the chart's volumes name the same objects. */
import { credentialShardOf, credentialShards } from "../../proxy/config/names.ts";
import {
  budgetShards,
  documentBytes,
  keyShards,
  type PublishedConfig,
  providerShards,
  routeShards,
} from "../../proxy/config/schema.ts";

const pad = (shard: number): string => String(shard).padStart(2, "0");
const numbered = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, shard) => `${name}-${shard}`);

/** Names of all ConfigMaps that may hold a part of the config, for a prefix such as the release's name. */
export function configMapNames(prefix: string): string[] {
  const keys = Array.from({ length: keyShards }, (_, shard) => `${prefix}-keys-${pad(shard)}`);
  return [
    `${prefix}-config`,
    ...numbered(`${prefix}-providers`, providerShards),
    ...numbered(`${prefix}-budgets`, budgetShards),
    ...numbered(`${prefix}-routes`, routeShards),
    ...keys,
  ];
}

/** ConfigMap of the revocations, which belong to no revision. */
export const revocationsMapName = (prefix: string): string => `${prefix}-revocations`;

/** Secret with the token of the proxies' status ports, for people who may read reports. */
export const statusSecretName = (prefix: string): string => `${prefix}-status-token`;

export const credentialsSecretName = (prefix: string): string => `${prefix}-credentials`;

/** Names of all Secrets that may exist; the first holds the pepper. */
export const credentialsSecretNames = (prefix: string): string[] => [
  credentialsSecretName(prefix),
  ...numbered(credentialsSecretName(prefix), credentialShards),
];

const valueBytes = (value: string): number => Math.floor((value.length * 3) / 4);

/**
 * Name of the Secret → its data, in base64. One Secret holds everything as long as it fits, so that proxies of the
 * previous version find it there.
 */
export function credentialsSecretsOf(
  prefix: string,
  data: Readonly<Record<string, string>>,
): Map<string, Record<string, string>> {
  const main = credentialsSecretName(prefix);
  const total = Object.values(data).reduce((sum, value) => sum + valueBytes(value), 0);
  if (total <= documentBytes) return new Map([[main, { ...data }]]);
  const secrets = new Map<string, Record<string, string>>();
  for (const [name, value] of Object.entries(data)) {
    const secret = name.startsWith("pepper") ? main : `${main}-${credentialShardOf(name)}`;
    secrets.set(secret, { ...secrets.get(secret), [name]: value });
  }
  return secrets;
}

/** Name of the ConfigMap that holds a document. */
export function configMapOfDocument(prefix: string, document: string): string {
  if (document === "manifest.json" || document === "config.json" || document === "seeds.json")
    return `${prefix}-config`;
  return `${prefix}-${document.replace(/\.json$/, "")}`;
}

/** ConfigMap name → data, in writing order: shards first, and `-config`, which holds the manifest, last. */
export function configMapsOf(prefix: string, published: PublishedConfig): Map<string, Record<string, string>> {
  const maps = new Map<string, Record<string, string>>();
  for (const [document, bytes] of Object.entries(published.documents)) {
    const name = configMapOfDocument(prefix, document);
    maps.set(name, { ...maps.get(name), [document]: bytes });
  }
  const main = `${prefix}-config`;
  const last = maps.get(main) ?? {};
  maps.delete(main);
  return new Map([...[...maps].sort(([a], [b]) => (a < b ? -1 : 1)), [main, last]]);
}
