/** Whose the batches of messages are, for lists of them: Anthropic's objects have no room for a mark. */
import { Buffer } from "node:buffer";
import type { CacheStore } from "./store.ts";

/** Their place in the store, which no policy's id can have. */
export const ownersPlace = "#batch-owners";

/** Anthropic keeps results for 29 days. */
const limits = { ttlMs: 30 * 86_400_000, maxEntries: 50_000 };
const blank = { target: "", provider: "", model: "", upstreamModel: "", dropped: [], costNanoUsd: null };

export function noteBatchOwner(store: CacheStore, key: string, mark: string, nowMs: number): void {
  store.set(ownersPlace, key, { ...blank, body: Buffer.from(mark), storedAtMs: nowMs }, limits);
}

export async function batchOwner(store: CacheStore, key: string): Promise<string | null> {
  return (await store.get(ownersPlace, key))?.body.toString("utf8") ?? null;
}
