/**
 * InferencePools that providers name, and the Pods that they select. Watched only while a provider names one, so that a
 * cluster without that API, or an operator without the right, goes on as before.
 */
import type { V1Pod } from "@kubernetes/client-node";
import type { InferencePoolFact, PickerFact, World, WorldObject } from "../compile/world.ts";
import { type Cluster, statusCode } from "./api.ts";
import { type CacheEvents, ObjectCache } from "./cache.ts";
import type { CustomObject } from "./world.ts";

const group = "inference.networking.k8s.io";
const version = "v1";
const plural = "inferencepools";
const usualPickerPort = 9002;

interface PickerRef {
  group?: string;
  kind?: string;
  name?: string;
  port?: { number?: number };
  failureMode?: string;
}

interface PoolSpec {
  selector?: { matchLabels?: Record<string, string> };
  targetPorts?: { number?: number }[];
  endpointPickerRef?: PickerRef;
}

/** `namespace/name` of the InferencePools that objects name, whether or not the rest of their spec is valid. */
export function namedPools(objects: readonly WorldObject[]): Set<string> {
  const pools = new Set<string>();
  for (const { kind, meta, spec } of objects) {
    if (kind !== "LLMProvider") continue;
    const name = (spec as { pool?: { inferencePool?: { name?: unknown } } } | null)?.pool?.inferencePool?.name;
    if (typeof name === "string" && name !== "") pools.add(`${meta.namespace}/${name}`);
  }
  return pools;
}

/** Pure. A Pod that is being deleted gets no new calls. */
export const readyAddresses = (pods: readonly V1Pod[]): string[] =>
  pods.flatMap(({ metadata, status }) => {
    const ready = status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True");
    return ready === true && metadata?.deletionTimestamp === undefined ? (status?.podIP ?? []) : [];
  });

function serviceOf({ group: other = "", kind = "Service", name = "", port }: PickerRef): PickerFact {
  return other === "" && kind === "Service" ? { service: name, port: port?.number ?? usualPickerPort } : "NoService";
}

/** Pure. */
export function poolFact(
  { spec }: CustomObject,
  pods: readonly V1Pod[] | null,
): Extract<InferencePoolFact, { kind: "Pool" }> {
  const { targetPorts = [], endpointPickerRef: picker } = (spec ?? {}) as PoolSpec;
  return {
    kind: "Pool",
    ports: targetPorts.flatMap(({ number }) => number ?? []),
    picker: picker === undefined ? "None" : serviceOf(picker),
    failOpen: picker?.failureMode === "FailOpen",
    addresses: pods === null ? null : readyAddresses(pods),
  };
}

/** As a label selector of the API; "" for a pool that selects nothing. */
const selectorOf = ({ spec }: CustomObject): string =>
  Object.entries((spec as PoolSpec | undefined)?.selector?.matchLabels ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(",");

const reasons: Readonly<Record<number, string>> = {
  403: "the operator has no right to; set the Helm value operator.inferencePools to true",
  404: `the cluster has no ${group}/${version}; install the CRDs of the Gateway API Inference Extension`,
};

/** A cache, and why it can't be filled; null while it can. */
interface Watched<T extends CustomObject | V1Pod> {
  cache: ObjectCache<T>;
  why: string | null;
}

export interface PoolFacts {
  pools: NonNullable<World["inferencePools"]>;
  /** `namespace/name` of the Services of their pickers. */
  services: Set<string>;
}

export class InferencePoolWatches {
  readonly #cluster: Cluster;
  readonly #events: CacheEvents;
  /** By namespace. */
  readonly #pools = new Map<string, Watched<CustomObject>>();
  /** By namespace and selector. */
  readonly #pods = new Map<string, Watched<V1Pod>>();

  constructor(cluster: Cluster, events: CacheEvents) {
    this.#cluster = cluster;
    this.#events = events;
  }

  /** Watches exactly the pools that these objects name, and returns what is known about them. */
  of(objects: readonly WorldObject[]): PoolFacts {
    const named = [...namedPools(objects)].map((id) => id.split("/") as [string, string]);
    this.#keep(this.#pools, new Set(named.map(([namespace]) => namespace)));
    const selections = new Set<string>();
    const pools: Record<string, InferencePoolFact> = {};
    const services = new Set<string>();
    for (const [namespace, name] of named) {
      const fact = this.#fact(namespace, name, selections);
      if (fact === null) continue;
      pools[`${namespace}/${name}`] = fact;
      if (fact.kind === "Pool" && typeof fact.picker === "object") services.add(`${namespace}/${fact.picker.service}`);
    }
    this.#keep(this.#pods, selections);
    return { pools, services };
  }

  /** null: not read yet. */
  #fact(namespace: string, name: string, selections: Set<string>): InferencePoolFact | null {
    const { cache, why } = this.#watched(this.#pools, namespace, {
      path: `/apis/${group}/${version}/namespaces/${namespace}/${plural}`,
      list: (page) => this.#cluster.custom.listNamespacedCustomObject({ group, version, plural, namespace, ...page }),
    });
    if (why !== null) return { kind: "Unreadable", why };
    if (!cache.synced()) return null;
    const pool = cache.get(name, namespace);
    if (pool === undefined) return { kind: "Absent" };
    const labelSelector = selectorOf(pool);
    if (labelSelector === "") return poolFact(pool, []);
    const selection = `${namespace} ${labelSelector}`;
    selections.add(selection);
    const pods = this.#watched(this.#pods, selection, {
      path: `/api/v1/namespaces/${namespace}/pods`,
      list: (page) => this.#cluster.core.listNamespacedPod({ namespace, labelSelector, ...page }),
      labelSelector,
    });
    if (pods.why !== null) return { kind: "Unreadable", why: pods.why };
    return poolFact(pool, pods.cache.synced() ? pods.cache.list() : null);
  }

  #watched<T extends CustomObject | V1Pod>(
    all: Map<string, Watched<T>>,
    key: string,
    what: Pick<ConstructorParameters<typeof ObjectCache<T>>[1], "path" | "list" | "labelSelector">,
  ): Watched<T> {
    const pool = all.get(key);
    if (pool !== undefined) return pool;
    const { changed, failed } = this.#events;
    const watched: { cache?: ObjectCache<T>; why: string | null } = { why: null };
    const note = (why: string | null): void => {
      if (watched.why === why) return;
      watched.why = why;
      changed();
    };
    watched.cache = new ObjectCache<T>(this.#cluster, {
      ...what,
      changed() {
        note(null);
        changed();
      },
      failed(path, cause) {
        const why = reasons[statusCode(cause)] ?? null;
        // Reported in the status rather than logged, as it lasts until somebody acts.
        if (why === null) failed(path, cause);
        note(why);
      },
    });
    all.set(key, watched as Watched<T>);
    return watched as Watched<T>;
  }

  #keep(all: Map<string, { cache: { stop(): Promise<void> } }>, wanted: ReadonlySet<string>): void {
    for (const [key, { cache }] of all)
      if (!wanted.has(key)) {
        all.delete(key);
        void cache.stop();
      }
  }

  async stop(): Promise<void> {
    const caches = [...this.#pools.values(), ...this.#pods.values()];
    await Promise.all(caches.map(({ cache }) => cache.stop()));
  }
}
