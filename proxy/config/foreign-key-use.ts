/** What the status port answers about a key of another gateway. */
import { createHash } from "node:crypto";
import { z } from "zod";

export const foreignKeyUse = z.object({
  /** `namespace/name` of the ApiKey. */
  key: z.string().max(512),
  /** Names the digest among those of the ApiKey. */
  label: z.string().max(16),
  lastUsedMs: z.int().min(0),
});
export type ForeignKeyUse = z.output<typeof foreignKeyUse>;

/** Tells the digests of an object apart, without their values: the first digits of a digest of the digest. */
export const foreignKeyLabel = (value: string): string => createHash("sha256").update(value).digest("hex").slice(0, 8);
