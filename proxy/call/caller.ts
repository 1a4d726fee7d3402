/** Who a caller is to whatever keeps one caller's trouble from the others: a user of a namespace, whatever its keys. */
import type { Identity } from "./identity.ts";

/** `address`: of a caller without a key; "" where it isn't known. */
export const callerOf = (identity: Identity, address: string): string =>
  identity.anonymous ? `anonymous|${address}` : `${identity.namespace}|${identity.key.user || identity.key.id}`;
