/** Makes keys for ApiKeys whose Secret has none yet. Existing keys and Secrets of others are left alone. */
import { randomBytes } from "node:crypto";
import type { V1Secret } from "@kubernetes/client-node";
import { apiVersion } from "../../crds/kinds.ts";
import { parseSpec } from "../../crds/parse.ts";
import { mintKey } from "../../proxy/config/key-form.ts";
import type { WorldObject } from "../compile/world.ts";
import { type Cluster, fieldManager, statusCode, untracked } from "./api.ts";
import { baseURLKey } from "./base-url.ts";
import { madeLabels, mayWrite, writtenSecret } from "./secret-ownership.ts";
import { patchSecret } from "./secret-patch.ts";
import type { SecretValues } from "./secrets.ts";

/** An ApiKey whose key must be made. */
export interface Missing {
  object: WorldObject;
  secret: string;
  key: string;
}

/** Pure: valid ApiKeys that have no clear key. A revoked one needs none. */
export function missingKeys(objects: readonly WorldObject[], secrets: ReadonlyMap<string, SecretValues>): Missing[] {
  const missing: Missing[] = [];
  for (const object of objects) {
    if (object.kind !== "ApiKey") continue;
    const parsed = parseSpec("ApiKey", object.spec ?? {});
    if (!parsed.ok || parsed.spec.revoked || parsed.spec.writeTo === undefined) continue;
    const { name, key } = parsed.spec.writeTo;
    if (secrets.get(`${object.meta.namespace}/${name}`)?.[key] === undefined)
      missing.push({ object, secret: name, key });
  }
  return missing;
}

/**
 * Creates the Secret, or adds the key to `there`, which lacks it and which Sluice may write. Another writer's key wins:
 * an addition applies only to the resource version that was read, and a Secret created meanwhile is read again in the
 * next pass. Server-side apply would remove the keys of other ApiKeys in the same Secret.
 */
export async function makeKey(
  cluster: Cluster,
  missing: Missing,
  there: V1Secret | null,
  baseURL: string,
): Promise<void> {
  if (there !== null && !mayWrite(there)) return;
  const { meta } = missing.object;
  const { namespace } = meta;
  const values: Record<string, string> = { [missing.key]: mintKey(randomBytes(32)) };
  if (baseURL !== "" && missing.key !== baseURLKey && there?.data?.[baseURLKey] === undefined)
    values[baseURLKey] = baseURL;
  if (there !== null) return patchSecret(cluster, { namespace, name: missing.secret, secret: there }, values);
  const { data, annotations } = writtenSecret(null, values);
  const metadata = {
    name: missing.secret,
    namespace,
    labels: madeLabels,
    annotations: { ...untracked, ...annotations },
    // A Secret made for the ApiKey is deleted with it; one that existed before stays.
    ownerReferences: [{ apiVersion, kind: "ApiKey", name: meta.name, uid: meta.uid }],
  };
  const body = { metadata, data: data as Record<string, string>, type: "Opaque" };
  try {
    await cluster.core.createNamespacedSecret({ namespace, body, fieldManager });
  } catch (cause) {
    if (statusCode(cause) !== 409) throw cause;
  }
}
