/** Keeps `baseURL` in the Secrets of API keys equal to the gateway's address, which changes when a release moves to TLS. */
import type { SecretRights } from "../compile/world.ts";
import { asMerge, type Cluster, fieldManager, orNull, statusCode } from "./api.ts";
import { mayWrite, writtenSecret, wrote } from "./secret-ownership.ts";

export const baseURLKey = "baseURL";

/** Whether Sluice may write the Secret and wrote the address that is in it. */
export const mayRefresh = ({ writable, foreign }: SecretRights): boolean => writable && !foreign.includes(baseURLKey);

/** Reads the Secret again first, and leaves alone an address that somebody else wrote. A conflict is left to the next pass. */
export async function refreshBaseURL(
  cluster: Cluster,
  secret: { namespace: string; name: string },
  baseURL: string,
): Promise<void> {
  const there = await orNull(cluster.core.readNamespacedSecret(secret));
  if (there === null || !mayWrite(there) || !wrote(there, baseURLKey)) return;
  const { data, annotations } = writtenSecret(there, { [baseURLKey]: baseURL });
  const metadata = { resourceVersion: there.metadata?.resourceVersion, annotations };
  try {
    await cluster.core.patchNamespacedSecret({ ...secret, body: { metadata, data }, fieldManager }, asMerge);
  } catch (cause) {
    if (statusCode(cause) !== 409) throw cause;
  }
}
