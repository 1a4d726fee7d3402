/**
 * Identifies a caller wherever one caller's trouble must not affect others: a user in a namespace, whichever key is
 * used.
 */
import type { Identity } from "./identity.ts";

/** `address`: of a caller without a key; "" if unknown. */
export const callerOf = (identity: Identity, address: string): string =>
  identity.anonymous ? `anonymous|${address}` : `${identity.namespace}|${identity.key.user || identity.key.id}`;
