import type { KeyRecord } from "../../proxy/config/key-record.ts";

/** A developer's key that is good for everything. */
export const keyRecord = (digest: string, id: string, more: Partial<KeyRecord> = {}): KeyRecord => ({
  digest,
  id,
  user: "u",
  team: null,
  role: "developer",
  tags: [],
  models: null,
  expiresAtMs: null,
  revoked: false,
  ...more,
});
