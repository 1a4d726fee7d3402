/** Names that both sides derive alike. Pure. */
import type { ProviderConfig } from "./provider.ts";

/** Name in the credentials Secret of a value with this keyed digest. */
export function credentialName(digest: string): string {
  return `cred-${digest.slice(0, 40)}`;
}

/** Secrets for credentials, where one can't hold all of them. */
export const credentialShards = 4;

/** Which of them holds the credential of this name. */
export const credentialShardOf = (name: string): number =>
  Number.parseInt(name.slice("cred-".length, "cred-".length + 4), 16) % credentialShards;

/** Names in the credentials Secret of all that a provider needs from there. */
export function credentialNames({
  credentials,
  tls,
  tokenTls,
}: Pick<ProviderConfig, "credentials" | "tls" | "tokenTls">): string[] {
  const pairs = [tls, tokenTls].flatMap((one) => one?.clientCertificate ?? []);
  return [...Object.values(credentials), ...pairs.flatMap((pair) => [pair.certificate, pair.key])];
}
