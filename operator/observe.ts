/** Compiles the cluster's objects as the operator would and writes nothing. For commands that people run. */

import { readFile } from "node:fs/promises";
import { capabilitiesByType } from "../proxy/config/capabilities.generated.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import type { RenderedConfig } from "../proxy/config/schema.ts";
import { withAssumed } from "./assumed-secrets.ts";
import { type Cluster, connectCluster, loadConfig, orNull, statusCode } from "./cluster/api.ts";
import { Publisher } from "./cluster/publish.ts";
import { ClusterSource } from "./cluster/source.ts";
import { type Compiled, compile } from "./compile/compile.ts";
import type { World } from "./compile/world.ts";
import { CanaryBook } from "./loops/canaries/book.ts";
import { priceSources, priceTable } from "./prices/table.ts";
import { compileSettings } from "./settings/compile-settings.ts";
import { installation } from "./settings/installation.ts";
import { asOperatorSettings, type OperatorSettings, operatorSettings } from "./settings/settings.ts";

export interface ObservedCluster {
  compiled: Compiled;
  /** Notes on what could not be read, and what was assumed instead. */
  notes: string[];
  /** Whether audit records can be kept safe; null if unknown. */
  durableAudit: boolean | null;
}

export interface ObserveOptions {
  kubeconfig: string | null;
  /** The operator's namespace. */
  systemNamespace: string;
  /** File with the operator's settings; null to read its ConfigMap. */
  settings: string | null;
}

const syncTimeoutMs = 30_000;
const lookMs = 50;

/** Temporary failures: the API server is overloaded, or is (re)initializing a resource's storage. */
const isPassing = (cause: unknown): boolean => {
  const status = statusCode(cause);
  return status === 429 || status >= 500;
};

async function settingsOf(cluster: Cluster, options: ObserveOptions, notes: string[]): Promise<OperatorSettings> {
  if (options.settings !== null) return asOperatorSettings(options.settings, await readFile(options.settings, "utf8"));
  const name = "sluice-operator";
  const map = await orNull(cluster.core.readNamespacedConfigMap({ namespace: options.systemNamespace, name })).catch(
    (cause: unknown) => {
      if (statusCode(cause) === 403) return null;
      throw cause;
    },
  );
  const text = map?.data?.["settings.yaml"];
  const where = `ConfigMap ${options.systemNamespace}/${name}`;
  if (text !== undefined) return asOperatorSettings(where, text);
  notes.push(`the operator's settings (${where}) can't be read; defaults are assumed`);
  // The installation's permissions are unknown as well, so no object is reported as lacking one.
  return operatorSettings.parse({
    namespace: options.systemNamespace,
    privateEndpointNamespaces: ["*"],
    cloudIdentities: installation.parse({}).cloudIdentities,
  });
}

async function readWorld(
  cluster: Cluster,
  settings: OperatorSettings,
  pepper: Uint8Array,
  notes: string[],
): Promise<World> {
  const forbidden = new Set<string>();
  let wrong: unknown = null;
  /** The caches try again; if time runs out, this says why. */
  let passing: unknown = null;
  const failed = (path: string, cause: unknown): void => {
    if (path.startsWith("Secret ") && statusCode(cause) === 403) forbidden.add(path.slice("Secret ".length));
    else if (isPassing(cause)) passing = cause;
    else wrong = cause;
  };
  const source = new ClusterSource(cluster, settings, { changed: () => undefined, failed }, { makesKeys: false });
  try {
    const deadline = performance.now() + syncTimeoutMs;
    while (!source.synced()) {
      if (wrong !== null || performance.now() > deadline)
        throw wrong ?? passing ?? new Error("the API server did not answer in time");
      await new Promise((resolve) => setTimeout(resolve, lookMs));
    }
    const { world } = await source.read(pepper);
    if (forbidden.size > 0)
      notes.push(`assumed to hold what objects refer to: ${nounCount(forbidden.size, "Secret")} that can't be read`);
    return withAssumed(world, forbidden);
  } finally {
    await source.stop();
  }
}

async function published(
  cluster: Cluster,
  settings: OperatorSettings,
  notes: string[],
): Promise<RenderedConfig | null> {
  const publisher = new Publisher(cluster, settings.namespace, settings.publishPrefix, () => false);
  try {
    await publisher.read();
    return publisher.previous();
  } catch (cause) {
    if (statusCode(cause) !== 403) throw cause;
    notes.push("the published config can't be read, so last good forms are not known");
    return null;
  }
}

/** `pepper`: any value; the digests it yields match nothing in the cluster. */
export async function observeCluster(
  options: ObserveOptions,
  pepper: Uint8Array,
  nowMs: number,
): Promise<ObservedCluster> {
  const cluster = connectCluster(loadConfig(options.kubeconfig));
  const notes: string[] = [];
  const settings = await settingsOf(cluster, options, notes);
  const world = await readWorld(cluster, settings, pepper, notes);
  const compiled = compile(
    {
      world,
      settings: compileSettings(settings),
      previous: await published(cluster, settings, notes),
      canaries: new CanaryBook().facts(world.objects),
      nowMs,
      prices: priceTable(new Date(nowMs)),
      priceSources,
    },
    capabilitiesByType,
  );
  return { compiled, notes, durableAudit: settings.durableAudit };
}
