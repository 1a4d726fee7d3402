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

/** Header for the token of the operator. */
export const operatorTokenHeader = "x-sluice-operator-token";

const derived = (pepper: Uint8Array, purpose: string): string =>
  Buffer.from(hkdfSync("sha256", pepper, "", purpose, 32)).toString("base64url");

export const statusToken = (pepper: Uint8Array): string => `sst_${derived(pepper, "sluice status port v1")}`;

/** For what only the operator may change. No Secret holds it, so who may read reports doesn't have it. */
export const operatorToken = (pepper: Uint8Array): string => `sot_${derived(pepper, "sluice operator v1")}`;
