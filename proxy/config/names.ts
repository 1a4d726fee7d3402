/** Names that operator and proxy derive in the same way. Pure. */
import type { ProviderConfig } from "./provider.ts";

/** Returns the name in the credentials Secret for a value with this keyed digest. */
export function credentialName(digest: string): string {
  return `cred-${digest.slice(0, 40)}`;
}

/** Number of Secrets that credentials are spread over if one Secret can't hold them all. */
export const credentialShards = 4;

/** Index of the Secret that holds the credential with this name. */
export const credentialShardOf = (name: string): number =>
  Number.parseInt(name.slice("cred-".length, "cred-".length + 4), 16) % credentialShards;

/** Returns the names of everything that a provider needs from the credentials Secret. */
export function credentialNames({
  credentials,
  tls,
  tokenTls,
  headers = {},
  query = {},
}: Pick<ProviderConfig, "credentials" | "tls" | "tokenTls" | "headers" | "query">): string[] {
  const pairs = [tls, tokenTls].flatMap((settings) => settings?.clientCertificate ?? []);
  const added = [...Object.values(headers), ...Object.values(query)];
  return [
    ...Object.values(credentials),
    ...pairs.flatMap((pair) => [pair.certificate, pair.key]),
    ...added.flatMap((value) => ("secret" in value ? [value.secret] : [])),
  ];
}
