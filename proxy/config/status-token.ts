/** The token for what a proxy's status port tells of callers and spending. Operator and proxies derive it alike. */
import { Buffer } from "node:buffer";
import { hkdfSync } from "node:crypto";

/**
 * Header of the token, as an alternative to `Authorization: Bearer`, which the API server keeps for itself where it
 * passes a call on to a Pod.
 */
export const statusTokenHeader = "x-sluice-status-token";

export function statusToken(pepper: Uint8Array): string {
  return `sst_${Buffer.from(hkdfSync("sha256", pepper, "", "sluice status port v1", 32)).toString("base64url")}`;
}
