/**
 * The token that protects data on callers and spending on a proxy's status port. Operator and proxies derive it in the
 * same way.
 */
import { Buffer } from "node:buffer";
import { hkdfSync } from "node:crypto";

/**
 * Header for the token, as an alternative to `Authorization: Bearer`, which the API server consumes when it forwards a
 * call to a Pod.
 */
export const statusTokenHeader = "x-sluice-status-token";

export function statusToken(pepper: Uint8Array): string {
  return `sst_${Buffer.from(hkdfSync("sha256", pepper, "", "sluice status port v1", 32)).toString("base64url")}`;
}
