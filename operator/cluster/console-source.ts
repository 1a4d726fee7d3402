/**
 * What the console shows in a cluster: objects with the status that the leader wrote, what is published, and the
 * proxies. All of it is read, so every replica can serve the console.
 */
import { Buffer } from "node:buffer";
import type { RenderedConfig } from "../../proxy/config/schema.ts";
import { statusTokenHeader } from "../../proxy/config/status-token.ts";
import type { WorldObject } from "../compile/world.ts";
import { statusSecretName } from "../publish/layout.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { type Cluster, orNull } from "./api.ts";
import { findStatusAddresses } from "./proxies.ts";
import { Publisher } from "./publish.ts";
import type { ClusterSource } from "./source.ts";

const publishedForMs = 5_000;
const tokenForMs = 30_000;
const addressesForMs = 5_000;
const askTimeoutMs = 5_000;

export interface ClusterView {
  objects(): readonly WorldObject[];
  published(): Promise<{ config: RenderedConfig | null; revision: string }>;
  proxies(): Promise<{ name: string; get(path: string): Promise<unknown> }[]>;
  /** The status ports' token, which every replica can read; "" before there is one. */
  token(): Promise<string>;
}

/** Caches a read for `forMs`. A failed read is repeated on the next call. */
function remembered<T>(read: () => Promise<T>, forMs: number, nowMs: () => number): () => Promise<T> {
  let readMs = Number.NEGATIVE_INFINITY;
  let value: Promise<T> | null = null;
  return () => {
    if (value !== null && nowMs() - readMs < forMs) return value;
    readMs = nowMs();
    const next = read();
    value = next;
    next.catch(() => {
      if (value === next) value = null;
    });
    return next;
  };
}

export function clusterView(
  cluster: Cluster,
  settings: OperatorSettings,
  source: ClusterSource,
  nowMs: () => number,
): ClusterView {
  const publisher = new Publisher(cluster, settings.namespace, settings.publishPrefix, () => false);
  const published = async () => {
    await publisher.read();
    return { config: publisher.previous(), revision: publisher.revision() };
  };
  const token = async (): Promise<string> => {
    const name = statusSecretName(settings.publishPrefix);
    const secret = await orNull(cluster.core.readNamespacedSecret({ namespace: settings.namespace, name }));
    return Buffer.from(secret?.data?.["token"] ?? "", "base64").toString("utf8");
  };
  const currentToken = remembered(token, tokenForMs, nowMs);
  const addresses = remembered(() => findStatusAddresses(cluster, settings), addressesForMs, nowMs);
  const get = async (url: string, path: string): Promise<unknown> => {
    const headers = { [statusTokenHeader]: await currentToken() };
    const response = await fetch(`${url}${path}`, { headers, signal: AbortSignal.timeout(askTimeoutMs) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return response.json();
  };
  return {
    objects: () => source.objects(),
    published: remembered(published, publishedForMs, nowMs),
    token: currentToken,
    proxies: async () => (await addresses()).map(({ name, url }) => ({ name, get: (path: string) => get(url, path) })),
  };
}
