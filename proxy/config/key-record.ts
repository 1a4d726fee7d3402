/** API keys in the contract: what is known about each, by its digest. */
import { z } from "zod";
import { id, names } from "./basics.ts";
import { limitConfig } from "./limits.ts";

/** Lets a key issue tokens for clients that can't keep it secret. */
export const clientTokenRight = z.object({
  /** Origins that its tokens are bound to; null allows tokens for any client. */
  origins: names,
  maxLifeMs: z.int().min(1).max(3_600_000),
});

export const keyRecord = z.object({
  /**
   * HMAC-SHA-256 of the clear key with the pepper, lower-case hex. For an ApiKey that only has keys of another gateway,
   * the first of `foreign`, which no clear key has as its HMAC.
   */
  digest: z.string().length(64),
  id,
  user: z.string(),
  team: z.string().nullable(),
  role: z.string(),
  tags: z.array(z.string()),
  /** Labels of the ApiKey that reports can group by. Absent if there are none. */
  labels: z.record(z.string(), z.string()).optional(),
  models: names,
  expiresAtMs: z.int().nullable(),
  /** The key before a rotation, accepted until `untilMs`. */
  previous: z.object({ digest: z.string().length(64), untilMs: z.int() }).optional(),
  /** SHA-256 of clear keys that another gateway issued, lower-case hex. Absent if there are none. */
  foreign: z.array(z.string().length(64)).optional(),
  revoked: z.boolean(),
  /** Absent if the key has no limits of its own. */
  limits: z.array(limitConfig).optional(),
  /** Budgets whose selector picks this key. Absent if there is none. */
  budgets: z.array(z.string()).optional(),
  /** Absent if the key can't issue client tokens. */
  clientTokens: clientTokenRight.optional(),
});
export type KeyRecord = z.output<typeof keyRecord>;

/** Shorter keys are refused: they could be guessed. */
export const minKeyCharacters = 20;

/** The namespace of the ApiKey. */
export const namespaceOfKey = ({ id }: Pick<KeyRecord, "id">): string => id.slice(0, id.indexOf("/"));
