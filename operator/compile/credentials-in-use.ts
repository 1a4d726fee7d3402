/** Values that serve as credentials of something other than a caller: none of them may also be an API key. Pure. */
import { credentialName, credentialNames } from "../../proxy/config/names.ts";
import type { ProviderConfig } from "../../proxy/config/provider.ts";
import type { Channel } from "./alerts.ts";

/** Names (`credentialName`) of the values. `providers`: as compiled, whether or not they are live. */
export function credentialsInUse(
  providers: readonly ProviderConfig[],
  watches: readonly { channels: readonly Channel[] }[],
): ReadonlySet<string> {
  const digests = watches
    .flatMap((watch) => watch.channels)
    .flatMap(({ secret, signingKey }) => [secret, signingKey ?? ""]);
  return new Set([
    ...providers.flatMap(credentialNames),
    ...digests.filter((digest) => digest !== "").map(credentialName),
  ]);
}
