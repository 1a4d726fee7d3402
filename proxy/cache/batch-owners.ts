/** Whose the batches of messages are, for lists of them: Anthropic's objects have no room for a mark. */
import { Buffer } from "node:buffer";
import type { CacheStore } from "./store.ts";

/** Their place in the store, which no policy's id can have. */
export const ownersPlace = "#batch-owners";

/** A batch: its place is its namespace's own, so that none pushes out others'. */
export interface BatchName {
  namespace: string;
  key: string;
}

const placeOf = ({ namespace }: BatchName): string => `${ownersPlace} ${namespace}`;

/** Anthropic keeps results for 29 days. */
const limits = { ttlMs: 30 * 86_400_000, maxEntries: 50_000 };
const blank = { target: "", provider: "", model: "", upstreamModel: "", dropped: [], costNanoUsd: null };

export function noteBatchOwner(store: CacheStore, batch: BatchName, mark: string, nowMs: number): void {
  store.set(placeOf(batch), batch.key, { ...blank, body: Buffer.from(mark), storedAtMs: nowMs }, limits);
}

export async function batchOwner(store: CacheStore, batch: BatchName): Promise<string | null> {
  return (await store.get(placeOf(batch), batch.key))?.body.toString("utf8") ?? null;
}
