/** Changes values of a Secret of API keys, and records in its annotation that Sluice wrote them. */
import type { V1Secret } from "@kubernetes/client-node";
import { asMerge, type Cluster, fieldManager, statusCode } from "./api.ts";
import { writtenSecret } from "./secret-ownership.ts";

/** A Secret that was read from the API server. */
export interface ReadSecret {
  namespace: string;
  name: string;
  secret: V1Secret;
}

/**
 * `values`: clear text by key; null removes a key. Applies only to the version that was read: if somebody else changed
 * the Secret meanwhile, nothing is written, and the next pass reads it again.
 */
export async function patchSecret(
  cluster: Cluster,
  { namespace, name, secret }: ReadSecret,
  values: Readonly<Record<string, string | null>>,
): Promise<void> {
  const { data, annotations } = writtenSecret(secret, values);
  const metadata = { resourceVersion: secret.metadata?.resourceVersion, annotations };
  try {
    await cluster.core.patchNamespacedSecret({ namespace, name, body: { metadata, data }, fieldManager }, asMerge);
  } catch (cause) {
    if (statusCode(cause) !== 409) throw cause;
  }
}
