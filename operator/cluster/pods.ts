/** Ready Pods of the Services that pools name, from a watch on the EndpointSlices of each. */
import type { V1EndpointSlice } from "@kubernetes/client-node";
import type { ServicePods, World, WorldObject } from "../compile/world.ts";
import type { Cluster } from "./api.ts";
import { type CacheEvents, ObjectCache } from "./cache.ts";
import { readyEndpoints } from "./proxies.ts";

/** `namespace/name` of the Services that objects refer to, whether or not the rest of their spec is valid. */
export function poolServices(objects: readonly WorldObject[]): Set<string> {
  const services = new Set<string>();
  for (const { kind, meta, spec } of objects) {
    if (kind !== "LLMProvider") continue;
    const name = (spec as { pool?: { service?: { name?: unknown } } } | null)?.pool?.service?.name;
    if (typeof name === "string" && name !== "") services.add(`${meta.namespace}/${name}`);
  }
  return services;
}

/** Pure. Slices of names (FQDN) are left out: a pool is called by addresses. */
export function podsIn(slices: readonly V1EndpointSlice[]): ServicePods {
  return slices
    .filter(({ addressType }) => addressType !== "FQDN")
    .flatMap((slice) => {
      const ports = (slice.ports ?? []).flatMap(({ port }) => port ?? []);
      // All addresses of an endpoint are the same Pod's.
      return readyEndpoints(slice).flatMap(({ addresses: [address] }) =>
        address === undefined ? [] : [{ address, ports }],
      );
    });
}

export class PodWatches {
  readonly #cluster: Cluster;
  readonly #events: CacheEvents;
  readonly #caches = new Map<string, ObjectCache<V1EndpointSlice>>();

  constructor(cluster: Cluster, events: CacheEvents) {
    this.#cluster = cluster;
    this.#events = events;
  }

  /** Watches the Services of these objects, `more` of them, and no others, and returns what is known of them. */
  of(objects: readonly WorldObject[], more: ReadonlySet<string>): NonNullable<World["pods"]> {
    const wanted = poolServices(objects).union(more);
    for (const [id, cache] of this.#caches)
      if (!wanted.has(id)) {
        this.#caches.delete(id);
        void cache.stop();
      }
    for (const id of wanted) if (!this.#caches.has(id)) this.#caches.set(id, this.#watch(id));
    const synced = [...this.#caches].filter(([, cache]) => cache.synced());
    return Object.fromEntries(synced.map(([id, cache]) => [id, podsIn(cache.list())]));
  }

  #watch(id: string): ObjectCache<V1EndpointSlice> {
    const [namespace = "", name = ""] = id.split("/");
    const labelSelector = `kubernetes.io/service-name=${name}`;
    return new ObjectCache<V1EndpointSlice>(this.#cluster, {
      ...this.#events,
      path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`,
      list: (page) => this.#cluster.discovery.listNamespacedEndpointSlice({ namespace, labelSelector, ...page }),
      labelSelector,
    });
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#caches.values()].map((cache) => cache.stop()));
  }
}
