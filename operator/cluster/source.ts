/** All reads of the cluster, behind one object: caches of the four kinds and of Namespaces, Secrets by name. */
import type { KubernetesListObject, V1Namespace } from "@kubernetes/client-node";
import { group, kindNames, version } from "../../crds/kinds.ts";
import type { World, WorldObject } from "../compile/world.ts";
import type { OperatorSettings } from "../settings.ts";
import { type Cluster, orNull } from "./api.ts";
import { type ObjectCache, objectCache } from "./cache.ts";
import { eachOf } from "./each.ts";
import { makeKey, missingKeys } from "./keys.ts";
import { dueTurns, takeTurn } from "./rotation.ts";
import { SecretReader } from "./secrets.ts";
import { type CustomObject, pluralOf, secretRefs, worldObject, worldOf } from "./world.ts";

export interface ClusterSource {
  /** Every cache has been filled once; before that an empty world must not be published. */
  synced(): boolean;
  read(pepper: Uint8Array): Promise<{ world: World; values: Map<string, string>; objects: WorldObject[] }>;
  /** Once in a while: what nobody watches is to be read again. */
  resync(): void;
  stop(): Promise<void>;
}

const keysAtOnce = 8;

export function clusterSource(
  cluster: Cluster,
  settings: OperatorSettings,
  changed: () => void,
  failed: (path: string, cause: unknown) => void,
  /** false: nothing is written, so that keys that are missing stay so. */
  makesKeys = true,
  nowMs: () => number = Date.now,
): ClusterSource {
  const places = settings.watchNamespaces.length === 0 ? [null] : settings.watchNamespaces;
  const caches = kindNames.flatMap((kind) =>
    places.map((namespace) => {
      const plural = pluralOf(kind);
      const path = namespace === null ? `/apis/${group}/${version}/${plural}` : `/apis/${group}/${version}/namespaces/${namespace}/${plural}`;
      const list = (): Promise<KubernetesListObject<CustomObject>> =>
        namespace === null
          ? cluster.custom.listClusterCustomObject({ group, version, plural })
          : cluster.custom.listNamespacedCustomObject({ group, version, plural, namespace });
      return { kind, cache: objectCache<CustomObject>(cluster, path, list, changed, failed) };
    }),
  );
  const namespaces: ObjectCache<V1Namespace> = objectCache<V1Namespace>(cluster, "/api/v1/namespaces", () => cluster.core.listNamespace(), changed, failed);
  const secrets = new SecretReader(cluster, changed, failed);
  return {
    synced: () => namespaces.synced() && caches.every(({ cache }) => cache.synced()),
    async read(pepper) {
      const objects = caches.flatMap(({ kind, cache }) =>
        cache
          .list()
          .filter(present)
          .map((object) => worldObject(kind, object)),
      );
      const refs = secretRefs(objects);
      let known = await secrets.read(refs);
      const missing = makesKeys ? missingKeys(objects, known) : [];
      // A namespace that takes no Secret, for one with a full quota, must not hold up the others; the key's status says what is missing.
      const failures = await eachOf(missing, keysAtOnce, (one) => makeMissing(cluster, one, settings.baseURL));
      for (const cause of failures) failed("Secrets for keys", cause);
      const turns = makesKeys ? dueTurns(objects, known, nowMs()) : [];
      const seen = known;
      const unturned = await eachOf(turns, keysAtOnce, (turn) => takeTurn(cluster, turn, seen.get(`${turn.namespace}/${turn.secret}`) ?? {}, nowMs()));
      for (const cause of unturned) failed("Secrets of keys to rotate", cause);
      for (const { object, secret } of missing) secrets.invalidate(`${object.meta.namespace}/${secret}`);
      for (const { namespace, secret } of turns) secrets.invalidate(`${namespace}/${secret}`);
      if (missing.length + turns.length > 0) known = await secrets.read(refs);
      return { ...worldOf(objects, namespaces.list(), known, pepper), objects };
    },
    resync: () => secrets.resync(),
    async stop() {
      secrets.stop();
      await Promise.all([...caches.map(({ cache }) => cache.stop()), namespaces.stop()]);
    },
  };
}

/** An object that only waits for finalizers counts no more. */
const present = (object: CustomObject): boolean => object.metadata?.deletionTimestamp === undefined;

/** Looks once more before it writes: what was read may be old. */
async function makeMissing(cluster: Cluster, missing: ReturnType<typeof missingKeys>[number], baseURL: string): Promise<void> {
  const { namespace } = missing.object.meta;
  const there = await orNull(cluster.core.readNamespacedSecret({ namespace, name: missing.secret }));
  if (there?.data?.[missing.key] === undefined) await makeKey(cluster, missing, there, baseURL);
}
