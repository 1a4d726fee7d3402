/** Makes the keys of ApiKeys whose Secret is not there yet. A key that is there is never touched. */
import { randomBytes } from "node:crypto";
import { apiVersion } from "../../crds/kinds.ts";
import { parseSpec } from "../../crds/parse.ts";
import type { WorldObject } from "../compile/world.ts";
import { mintKey } from "../keys/mint.ts";
import { type Cluster, statusCode } from "./api.ts";
import type { SecretValues } from "./secrets.ts";

/** An ApiKey whose key has to be made. */
export interface Missing {
  object: WorldObject;
  secret: string;
  key: string;
}

/** Pure: which valid ApiKeys have no clear key. */
export function missingKeys(objects: readonly WorldObject[], secrets: ReadonlyMap<string, SecretValues>): Missing[] {
  const missing: Missing[] = [];
  for (const object of objects) {
    if (object.kind !== "ApiKey") continue;
    const parsed = parseSpec("ApiKey", object.spec ?? {});
    if (!parsed.ok) continue;
    const { name, key } = parsed.spec.writeTo;
    if (secrets.get(`${object.meta.namespace}/${name}`)?.[key] === undefined) missing.push({ object, secret: name, key });
  }
  return missing;
}

/** Creates the Secret, or adds the key to one that is there without it. Another writer's key wins. */
export async function makeKey(cluster: Cluster, missing: Missing, exists: boolean, baseURL: string): Promise<void> {
  const { meta } = missing.object;
  const stringData = { [missing.key]: mintKey(randomBytes(32)), ...(baseURL === "" ? {} : { baseURL }) };
  const metadata = {
    name: missing.secret,
    namespace: meta.namespace,
    labels: { "app.kubernetes.io/managed-by": "sluice" },
    // The Secret goes with the ApiKey that it was made for.
    ownerReferences: [{ apiVersion, kind: "ApiKey", name: meta.name, uid: meta.uid }],
  };
  if (exists) {
    await cluster.apply({ apiVersion: "v1", kind: "Secret", metadata: { name: missing.secret, namespace: meta.namespace }, stringData });
    return;
  }
  try {
    await cluster.core.createNamespacedSecret({ namespace: meta.namespace, body: { metadata, stringData, type: "Opaque" } });
  } catch (cause) {
    if (statusCode(cause) !== 409) throw cause;
  }
}
