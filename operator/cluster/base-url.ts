/** Keeps `baseURL` in the Secrets of API keys equal to the gateway's address, which changes when a release moves to TLS. */
import type { SecretRights } from "../compile/world.ts";
import { type Cluster, orNull } from "./api.ts";
import { mayWrite, wrote } from "./secret-ownership.ts";
import { patchSecret } from "./secret-patch.ts";

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
  await patchSecret(cluster, { ...secret, secret: there }, { [baseURLKey]: baseURL });
}
