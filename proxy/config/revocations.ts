/**
 * Keys that were revoked since the published key records were rendered. The document is published on its own, outside
 * the manifest, so that a revocation waits for nothing else. A key that it names is refused, whatever its record says.
 */
import { z } from "zod";

export const revocationsName = "revocations.json";

/** More than this would not fit into one ConfigMap; further revocations go out with the key records. */
export const maxRevocations = 10_000;

export const revocationsDocument = z.object({
  schemaVersion: z.int(),
  /** Names this content in the proxies' status. */
  id: z.string().max(64),
  /** Digests of keys. */
  digests: z.array(z.string().length(64)),
});

/** From an operator that does not lead. Only ever adds to what the leader says. */
export const standbyRevocations = revocationsDocument.pick({ schemaVersion: true, digests: true }).extend({
  /** Names the operator: its next message replaces this one. */
  sender: z.string().min(1).max(300),
});
export type StandbyRevocations = z.output<typeof standbyRevocations>;
export type Revocations = z.output<typeof revocationsDocument>;
