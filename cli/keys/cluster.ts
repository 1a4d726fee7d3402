/** `sluice keys` against a cluster: objects through the API server, keys made by the operator. */
import { Buffer } from "node:buffer";
import { group, kinds, version } from "../../crds/kinds.ts";
import { asMerge, type Cluster, orNull, statusCode } from "../../operator/cluster/api.ts";
import { isLive, type StoredObject, waitUntil } from "../live.ts";
import type { KeysValues } from "./arguments.ts";
import { type KeyObject, type KeyRow, keyObject, rotationOf, rowOf } from "./object.ts";

type Stored = KeyObject & StoredObject & { status?: { rotatedAt?: string } };

const { plural } = kinds.ApiKey;
const fieldManager = "sluice-cli";

async function listKeys(cluster: Cluster, namespace: string | null): Promise<Stored[]> {
  const keys = (await (namespace === null
    ? cluster.custom.listClusterCustomObject({ group, version, plural })
    : cluster.custom.listNamespacedCustomObject({ group, version, plural, namespace }))) as { items: Stored[] };
  return keys.items;
}

async function chosen(cluster: Cluster, values: KeysValues, namespace: string): Promise<Stored[]> {
  const keys = await listKeys(cluster, namespace);
  const matching = keys.filter((key) =>
    values.name === undefined ? key.spec["user"] === values.user : key.metadata.name === values.name,
  );
  if (matching.length === 0)
    throw new Error(`namespace ${namespace} has no ApiKey ${values.name ?? `of ${values.user}`}`);
  return matching;
}

const waitFor = (cluster: Cluster, stored: Stored, seconds: number, done: (stored: Stored) => boolean): Promise<void> =>
  waitUntil(cluster, "ApiKey", stored.metadata, seconds, (object) => done(object as Stored));

async function patch(
  cluster: Cluster,
  { metadata: { name, namespace } }: Stored,
  spec: Record<string, unknown>,
): Promise<Stored> {
  return (await cluster.custom.patchNamespacedCustomObject(
    { group, version, plural, namespace, name, body: { spec }, fieldManager },
    asMerge,
  )) as Stored;
}

export async function createInCluster(cluster: Cluster, values: KeysValues, namespace: string): Promise<string[]> {
  const object = keyObject(values, namespace);
  const { name } = object.metadata;
  try {
    await cluster.custom.createNamespacedCustomObject({
      group,
      version,
      plural,
      namespace,
      body: object,
      fieldManager,
    });
  } catch (cause) {
    if (statusCode(cause) === 409)
      throw new Error(`ApiKey ${namespace}/${name} is there already; choose another --name, or rotate it`);
    throw cause;
  }
  if (Number(values.wait) > 0) await waitFor(cluster, object as Stored, Number(values.wait), isLive);
  const secret = String((object.spec["writeTo"] as { name: string }).name);
  const lines = [`ApiKey ${namespace}/${name} made; its key is in Secret ${secret}, key apiKey`];
  if (values.show !== true) return lines;
  const there = await orNull(cluster.core.readNamespacedSecret({ namespace, name: secret }));
  const clear = there?.data?.["apiKey"];
  if (clear === undefined)
    throw new Error(`Secret ${namespace}/${secret} has no key yet; read it when the operator has made it`);
  return [...lines, Buffer.from(clear, "base64").toString("utf8")];
}

export async function rotateInCluster(
  cluster: Cluster,
  values: KeysValues,
  namespace: string,
  nowMs: number,
): Promise<string[]> {
  const keys = await chosen(cluster, values, namespace);
  const rotated = await Promise.all(
    keys.map((key) => patch(cluster, key, { rotation: rotationOf(key.spec, values["grace-period"], nowMs) })),
  );
  const done = (stored: Stored): boolean =>
    isLive(stored) && Date.parse(stored.status?.rotatedAt ?? "") >= Math.floor(nowMs / 1000) * 1000;
  if (Number(values.wait) > 0)
    await Promise.all(rotated.map((key) => waitFor(cluster, key, Number(values.wait), done)));
  return rotated.map(({ metadata, spec }) => {
    const { name: secret, key } = { key: "apiKey", ...(spec["writeTo"] as { name: string; key?: string }) };
    return `ApiKey ${metadata.namespace}/${metadata.name} rotated; the new key is in Secret ${secret}, key ${key}`;
  });
}

export async function revokeInCluster(cluster: Cluster, values: KeysValues, namespace: string): Promise<string[]> {
  const revoked = await Promise.all(
    (await chosen(cluster, values, namespace)).map((key) => patch(cluster, key, { revoked: true })),
  );
  if (Number(values.wait) > 0)
    await Promise.all(revoked.map((key) => waitFor(cluster, key, Number(values.wait), isLive)));
  return revoked.map(({ metadata }) => `ApiKey ${metadata.namespace}/${metadata.name} revoked`);
}

export async function listInCluster(cluster: Cluster, values: KeysValues, namespace: string | null): Promise<KeyRow[]> {
  const keys = await listKeys(cluster, namespace);
  return keys
    .filter((key) => values.user === undefined || key.spec["user"] === values.user)
    .map(({ metadata, spec, status }) =>
      rowOf({ name: metadata.name, namespace: metadata.namespace }, spec, status ?? {}),
    );
}
