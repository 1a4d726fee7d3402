/** Names that both sides derive alike. Pure. */

/** Name in the credentials Secret of a value with this keyed digest. */
export function credentialName(digest: string): string {
  return `cred-${digest.slice(0, 40)}`;
}
