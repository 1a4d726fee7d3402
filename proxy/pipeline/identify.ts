/** Returns the identity of a key's record, if the key may still be used. */
import type { AnonymousIdentity, Identity } from "../call/identity.ts";
import { type KeyRecord, namespaceOfKey } from "../config/key-record.ts";
import { type Failure, failure } from "../failure.ts";

export const invalidKey = failure(
  "invalid_api_key",
  "The API key is not known here. Check it for typing errors, or ask for a new one.",
);
const expired = failure("expired_api_key", "The API key has expired. Ask for a new one.");
const revoked = failure("revoked_api_key", "The API key has been revoked. Ask for a new one.");

export const anonymous = (reason: Failure): AnonymousIdentity => ({ anonymous: true, failure: reason });

export function identify(key: KeyRecord | null, nowMs: number): Identity {
  if (key === null) return anonymous(invalidKey);
  if (key.revoked) return { ...anonymous(revoked), known: key };
  if (key.expiresAtMs !== null && nowMs >= key.expiresAtMs) return { ...anonymous(expired), known: key };
  return { anonymous: false, key, namespace: namespaceOfKey(key) };
}
