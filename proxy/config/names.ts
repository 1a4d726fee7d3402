/** Names that both sides derive alike. Pure. */
import type { ProviderConfig } from "./provider.ts";

/** Name in the credentials Secret of a value with this keyed digest. */
export function credentialName(digest: string): string {
  return `cred-${digest.slice(0, 40)}`;
}

/** Names in the credentials Secret of all that a provider needs from there. */
export function credentialNames({ credentials, tls }: Pick<ProviderConfig, "credentials" | "tls">): string[] {
  const pair = tls?.clientCertificate ?? null;
  return [...Object.values(credentials), ...(pair === null ? [] : [pair.certificate, pair.key])];
}
