/** All reads of the cluster behind one object: caches of the four kinds and of Namespaces, and Secrets by name. */
import type { V1Namespace } from "@kubernetes/client-node";
import { group, type Kind, kindNames, version } from "../../crds/kinds.ts";
import { classOf, type World, type WorldObject } from "../compile/world.ts";
import type { KeyState } from "../publish/revocation-book.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import type { Cluster } from "./api.ts";
import { type CacheEvents, type CacheOptions, ObjectCache } from "./cache.ts";
import { InferencePoolWatches } from "./inference-pools.ts";
import { KeyTender } from "./key-tender.ts";
import { PodWatches } from "./pods.ts";
import { SecretReader } from "./secrets.ts";
import {
  type CustomObject,
  keyState,
  namespaceLabels,
  pluralOf,
  SecretFacts,
  SecretRefs,
  valuesOf,
  WorldObjects,
} from "./world.ts";

export interface Read {
  world: World;
  /** Digest → clear value of what objects other than ApiKeys refer to. */
  values: Map<string, string>;
  /** Objects of all kinds except ApiKey, which are few. */
  others: WorldObject[];
  /** Whether keys are left out whose Secrets are not made yet. */
  unfinished: boolean;
}

export interface SourceOptions {
  /** false: for a single read. Writes nothing, so missing keys stay missing, and watches no Secrets. */
  makesKeys?: boolean;
  nowMs?(): number;
}

const nothing: ReadonlySet<WorldObject> = new Set();

/** The objects of one kind, in one namespace or in all. */
interface KindCache {
  kind: Kind;
  cache: ObjectCache<CustomObject>;
  objects: WorldObjects;
}

/** List and watch of a kind. `namespace`: null for all. */
function kindOptions(
  cluster: Cluster,
  kind: Kind,
  namespace: string | null,
): Pick<CacheOptions<CustomObject>, "path" | "list"> {
  const plural = pluralOf(kind);
  const request = { group, version, plural };
  if (namespace === null)
    return {
      path: `/apis/${group}/${version}/${plural}`,
      list: (page) => cluster.custom.listClusterCustomObject({ ...request, ...page }),
    };
  return {
    path: `/apis/${group}/${version}/namespaces/${namespace}/${plural}`,
    list: (page) => cluster.custom.listNamespacedCustomObject({ ...request, namespace, ...page }),
  };
}

export class ClusterSource {
  readonly #settings: OperatorSettings;
  readonly #nowMs: () => number;
  readonly #caches: readonly KindCache[];
  readonly #namespaces: ObjectCache<V1Namespace>;
  readonly #secrets: SecretReader;
  readonly #pods: PodWatches;
  readonly #inferencePools: InferencePoolWatches;
  readonly #keys: KeyTender | null;
  readonly #changed: () => void;
  readonly #refs = new SecretRefs();
  readonly #facts = new SecretFacts();
  #keyListener: (id: string, own: boolean) => void = () => undefined;
  #holdsSecrets = false;

  constructor(
    cluster: Cluster,
    settings: OperatorSettings,
    events: CacheEvents,
    { makesKeys = true, nowMs = Date.now }: SourceOptions = {},
  ) {
    this.#settings = settings;
    this.#changed = events.changed;
    this.#nowMs = nowMs;
    const places = settings.watchNamespaces.length === 0 ? [null] : settings.watchNamespaces;
    this.#caches = kindNames.flatMap((kind) =>
      places.map((namespace) => this.#kindCache(cluster, events, kind, namespace)),
    );
    this.#namespaces = new ObjectCache<V1Namespace>(cluster, {
      ...events,
      path: "/api/v1/namespaces",
      list: (page) => cluster.core.listNamespace(page),
    });
    this.#secrets = new SecretReader(cluster, { access: settings.secretAccess }, events, makesKeys ? places : []);
    this.#pods = new PodWatches(cluster, events);
    this.#inferencePools = new InferencePoolWatches(cluster, events);
    this.#keys = makesKeys ? new KeyTender(cluster, this.#secrets, settings.baseURL, events.failed) : null;
  }

  #kindCache(cluster: Cluster, events: CacheEvents, kind: Kind, namespace: string | null): KindCache {
    const { className } = this.#settings;
    const seen = ({ metadata }: CustomObject): void => {
      const own = classOf({ labels: metadata?.labels ?? {} }) === className;
      this.#keyListener(`${metadata?.namespace}/${metadata?.name}`, own);
    };
    const cache = new ObjectCache<CustomObject>(cluster, {
      ...events,
      ...kindOptions(cluster, kind, namespace),
      ...(kind === "ApiKey" ? { seen } : {}),
    });
    return { kind, cache, objects: new WorldObjects(kind, this.#settings.className) };
  }

  /** Whether every cache has been filled once; before that, an empty world must not be published. */
  synced(): boolean {
    return this.#namespaces.synced() && this.#caches.every(({ cache }) => cache.synced());
  }

  /** Objects, Secrets and everything else that has not changed are the same objects as last time. */
  async read(pepper: Uint8Array): Promise<Read> {
    const byCache = this.#caches.map(({ kind, cache, objects }) => ({ kind, objects: objects.of(cache.list()) }));
    const objects = byCache.flatMap((cache) => cache.objects);
    const others = byCache.filter(({ kind }) => kind !== "ApiKey").flatMap((cache) => cache.objects);
    const secrets = this.#secrets;
    secrets.track(this.#refs.update(objects));
    let known = await secrets.read();
    this.#holdsSecrets = true;
    const tended = await this.#keys?.tend(objects, known, this.#nowMs());
    if (tended?.changed) known = await secrets.read();
    const waiting = tended?.waiting ?? nothing;
    if (waiting.size > 0) this.#changed();
    const facts = this.#facts.of(known, pepper);
    const { pools, services } = this.#inferencePools.of(others);
    return {
      world: {
        // A key whose Secret is made in a moment would count as one without a Secret.
        objects: waiting.size === 0 ? objects : objects.filter((object) => !waiting.has(object)),
        namespaces: namespaceLabels(this.#namespaces.list()),
        secrets: facts,
        secretRights: secrets.rights,
        pods: this.#pods.of(others, services),
        inferencePools: pools,
      },
      values: valuesOf(others, known, facts),
      others,
      unfinished: waiting.size > 0,
    };
  }

  /** For a standby: reads Secrets and looks at keys ahead, so that its first pass as the leader needn't do so. */
  async warm(): Promise<void> {
    const objects = this.#caches.flatMap(({ cache, objects: known }) => known.of(cache.list()));
    this.#secrets.track(this.#refs.update(objects));
    this.#keys?.lookAhead(objects, await this.#secrets.read(), this.#nowMs());
    this.#holdsSecrets = true;
  }

  /** Whether the Secrets that objects refer to have been read once, which takes a while for thousands of them. */
  holdsSecrets(): boolean {
    return this.#holdsSecrets;
  }

  /** All objects with their status, as the caches have them. */
  objects(): WorldObject[] {
    return this.#caches.flatMap(({ cache, objects }) => objects.of(cache.list()));
  }

  /** What the watch knows of the ApiKey `namespace/name` right now. */
  keyState(id: string): KeyState {
    const [namespace = "", name = ""] = id.split("/");
    for (const { kind, cache } of this.#caches) {
      const object = kind === "ApiKey" ? cache.get(name, namespace) : undefined;
      if (object !== undefined) return keyState(object, this.#settings.className);
    }
    return keyState(undefined, this.#settings.className);
  }

  /**
   * Calls `listener` with `namespace/name` of each ApiKey that the watch reports, at once. `own`: whether it belongs to
   * this installation, or did when it was deleted.
   */
  onKey(listener: (id: string, own: boolean) => void): void {
    this.#keyListener = listener;
  }

  /** Call at every resync: reads again what is not watched. */
  resync(): void {
    this.#secrets.resync();
  }

  async stop(): Promise<void> {
    this.#secrets.stop();
    const caches = [...this.#caches.map(({ cache }) => cache), this.#namespaces, this.#pods, this.#inferencePools];
    await Promise.all(caches.map((cache) => cache.stop()));
  }
}
