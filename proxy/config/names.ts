/** Names that both sides derive alike. Pure. */
import type { ProviderConfig } from "./provider.ts";

/** Name in the credentials Secret of a value with this keyed digest. */
export function credentialName(digest: string): string {
  return `cred-${digest.slice(0, 40)}`;
}

/** Names in the credentials Secret of all that a provider needs from there. */
export function credentialNames({
  credentials,
  tls,
  tokenTls,
}: Pick<ProviderConfig, "credentials" | "tls" | "tokenTls">): string[] {
  const pairs = [tls, tokenTls].flatMap((one) => one?.clientCertificate ?? []);
  return [...Object.values(credentials), ...pairs.flatMap((pair) => [pair.certificate, pair.key])];
}
