/** The contract's part on keys: what is known of each, by its digest. */
import { z } from "zod";
import { id, names } from "./basics.ts";
import { limitConfig } from "./limits.ts";

/** What a key may do for clients that can't keep it. */
export const clientTokenRight = z.object({
  /** Origins that its tokens are bound to; null: tokens for any client. */
  origins: names,
  maxLifeMs: z.int().min(1).max(3_600_000),
});

export const keyRecord = z.object({
  /** HMAC-SHA-256 of the clear key with the pepper, lower-case hex. */
  digest: z.string().length(64),
  id,
  user: z.string(),
  team: z.string().nullable(),
  role: z.string(),
  tags: z.array(z.string()),
  models: names,
  expiresAtMs: z.int().nullable(),
  /** The key before a rotation, which is accepted until its grace is over. */
  previous: z.object({ digest: z.string().length(64), untilMs: z.int() }).optional(),
  revoked: z.boolean(),
  /** Absent: none of its own. */
  limits: z.array(limitConfig).optional(),
  /** Budgets whose selector picks it. Absent: none. */
  budgets: z.array(z.string()).optional(),
  /** Absent: it makes no client tokens. */
  clientTokens: clientTokenRight.optional(),
});
export type KeyRecord = z.output<typeof keyRecord>;

/** The namespace of the ApiKey. */
export const namespaceOfKey = ({ id }: Pick<KeyRecord, "id">): string => id.slice(0, id.indexOf("/"));
