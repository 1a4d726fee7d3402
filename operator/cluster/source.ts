/** All reads of the cluster behind one object: caches of the four kinds and of Namespaces, and Secrets by name. */
import type { KubernetesListObject, V1Namespace } from "@kubernetes/client-node";
import { group, kindNames, version } from "../../crds/kinds.ts";
import type { World, WorldObject } from "../compile/world.ts";
import type { KeyState } from "../publish/revocation-book.ts";
import type { OperatorSettings } from "../settings/settings.ts";
import { type Cluster, orNull } from "./api.ts";
import { mayRefresh, refreshBaseURL } from "./base-url.ts";
import { type ObjectCache, objectCache } from "./cache.ts";
import { eachOf } from "./each.ts";
import { KeyDuties } from "./key-duties.ts";
import { type Missing, makeKey } from "./keys.ts";
import { PodWatches } from "./pods.ts";
import { ownRotations, rotate } from "./rotation.ts";
import { mayRotate } from "./secret-ownership.ts";
import { SecretReader, type SecretValues } from "./secrets.ts";
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
  /** Objects of all kinds except ApiKey: few. */
  others: WorldObject[];
}

export interface ClusterSource {
  /** Whether every cache has been filled once; before that, an empty world must not be published. */
  synced(): boolean;
  /** Objects, Secrets and everything else that has not changed are the same objects as last time. */
  read(pepper: Uint8Array): Promise<Read>;
  /** All objects with their status, as the caches have them. */
  objects(): WorldObject[];
  /** What the watch knows of the ApiKey `namespace/name` right now. */
  keyState(id: string): KeyState;
  /** Calls `listener` with `namespace/name` of each ApiKey that the watch reports, at once. */
  onKey(listener: (id: string) => void): void;
  /** Call at every resync: reads again what is not watched. */
  resync(): void;
  stop(): Promise<void>;
}

const keysAtOnce = 8;

export function clusterSource(
  cluster: Cluster,
  settings: OperatorSettings,
  changed: () => void,
  failed: (path: string, cause: unknown) => void,
  /** false: for one look. Writes nothing, so missing keys stay missing, and watches no Secrets. */
  makesKeys = true,
  nowMs: () => number = Date.now,
): ClusterSource {
  let keySeen: (id: string) => void = () => undefined;
  const seen = ({ metadata }: CustomObject): void => keySeen(`${metadata?.namespace}/${metadata?.name}`);
  const places = settings.watchNamespaces.length === 0 ? [null] : settings.watchNamespaces;
  const caches = kindNames.flatMap((kind) =>
    places.map((namespace) => {
      const plural = pluralOf(kind);
      const path =
        namespace === null
          ? `/apis/${group}/${version}/${plural}`
          : `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
      const list = (): Promise<KubernetesListObject<CustomObject>> =>
        namespace === null
          ? cluster.custom.listClusterCustomObject({ group, version, plural })
          : cluster.custom.listNamespacedCustomObject({ group, version, plural, namespace });
      return {
        kind,
        cache: objectCache(cluster, path, list, changed, failed, kind === "ApiKey" ? seen : undefined),
        objects: new WorldObjects(kind, settings.className),
      };
    }),
  );
  const namespaces: ObjectCache<V1Namespace> = objectCache<V1Namespace>(
    cluster,
    "/api/v1/namespaces",
    () => cluster.core.listNamespace(),
    changed,
    failed,
  );
  const watched = makesKeys ? places : [];
  const secrets = new SecretReader(cluster, { access: settings.secretAccess }, changed, failed, watched);
  const pods = new PodWatches(cluster, changed, failed);
  const refs = new SecretRefs();
  const secretFacts = new SecretFacts();
  const duties = new KeyDuties(settings.baseURL);
  /** Makes and rotates keys; returns whether Secrets must be read again. */
  const tend = async (objects: readonly WorldObject[], known: ReadonlyMap<string, SecretValues>): Promise<boolean> => {
    const { rights } = secrets;
    const due = duties.of(objects, known, nowMs());
    // Secrets that Sluice may not write are left alone; the ApiKey's status says so.
    const missing = due.missing.filter(
      ({ object, secret }) => rights[`${object.meta.namespace}/${secret}`]?.writable ?? true,
    );
    const turns = ownRotations(due.turns, objects).filter(({ namespace, secret, key }) => {
      const held = rights[`${namespace}/${secret}`];
      return held !== undefined && mayRotate(held, key);
    });
    // A namespace that accepts no Secret, such as one whose quota is used up, must not hold up the others; the key's
    // status says what is missing.
    const unmade = await eachOf(missing, keysAtOnce, (one) => makeMissing(cluster, one, settings.baseURL));
    for (const cause of unmade) failed("Secrets for keys", cause);
    const unturned = await eachOf(turns, keysAtOnce, (turn) =>
      rotate(cluster, turn, known.get(`${turn.namespace}/${turn.secret}`) ?? {}, nowMs()),
    );
    for (const cause of unturned) failed("Secrets of keys to rotate", cause);
    const moved = due.moved.filter((id) => rights[id] !== undefined && mayRefresh(rights[id]));
    const unmoved = await eachOf(moved, keysAtOnce, (id) => {
      const [namespace = "", name = ""] = id.split("/");
      return refreshBaseURL(cluster, { namespace, name }, settings.baseURL);
    });
    for (const cause of unmoved) failed("addresses in Secrets of keys", cause);
    for (const id of moved) secrets.invalidate(id);
    for (const { object, secret } of missing) secrets.invalidate(`${object.meta.namespace}/${secret}`);
    for (const { namespace, secret } of turns) secrets.invalidate(`${namespace}/${secret}`);
    return missing.length + turns.length + moved.length > 0;
  };
  return {
    synced: () => namespaces.synced() && caches.every(({ cache }) => cache.synced()),
    async read(pepper) {
      const byCache = caches.map(({ kind, cache, objects }) => ({ kind, objects: objects.of(cache.list()) }));
      const objects = byCache.flatMap((one) => one.objects);
      const others = byCache.filter(({ kind }) => kind !== "ApiKey").flatMap((one) => one.objects);
      secrets.track(refs.update(objects));
      let known = await secrets.read();
      if (makesKeys && (await tend(objects, known))) known = await secrets.read();
      const facts = secretFacts.of(known, pepper);
      return {
        world: {
          objects,
          namespaces: namespaceLabels(namespaces.list()),
          secrets: facts,
          secretRights: secrets.rights,
          pods: pods.of(others),
        },
        values: valuesOf(others, known, facts),
        others,
      };
    },
    keyState(id) {
      const [namespace = "", name = ""] = id.split("/");
      const keys = caches.filter(({ kind }) => kind === "ApiKey");
      const object = keys.map(({ cache }) => cache.get(name, namespace)).find((held) => held !== undefined);
      return keyState(object, settings.className);
    },
    onKey(listener) {
      keySeen = listener;
    },
    objects: () => caches.flatMap(({ cache, objects }) => objects.of(cache.list())),
    resync: () => secrets.resync(),
    async stop() {
      secrets.stop();
      await Promise.all([...caches.map(({ cache }) => cache.stop()), namespaces.stop(), pods.stop()]);
    },
  };
}

/** Reads again before writing: the cached Secret may be stale. */
async function makeMissing(cluster: Cluster, missing: Missing, baseURL: string): Promise<void> {
  const { namespace } = missing.object.meta;
  const there = await orNull(cluster.core.readNamespacedSecret({ namespace, name: missing.secret }));
  if (there?.data?.[missing.key] === undefined) await makeKey(cluster, missing, there, baseURL);
}
