/**
 * Items of Responses that the gateway made, so that a client can refer to them by their ids, as some SDKs do unless
 * `store` is false. They are kept for an hour, where cached answers are: sealed, if proxies share a store.
 */
import { Buffer } from "node:buffer";
import type { Shaped } from "../call/shaped.ts";
import { isGatewaysItem } from "../dialects/openai-responses/made-items.ts";
import { isObject, type JsonObject, jsonIn } from "../wire/json.ts";
import type { CacheStore } from "./store.ts";

/** Their place in the store, which no policy's id can have. Each namespace has its own, so that none pushes out others'. */
export const itemsPlace = "#items";
const placeOf = ({ namespace }: ItemNames): string => `${itemsPlace} ${namespace}`;

/** Under which names a caller's items are kept. */
export interface ItemNames {
  namespace: string;
  /** The key of an item's id in the store, distinct for each caller. */
  keyOf(id: string): string;
}

const limits = { ttlMs: 3_600_000, maxEntries: 50_000 };
/** Larger items are not kept, in bytes. */
const maxItemBytes = 262_144;
/** Most items of one answer that are kept. */
const maxItems = 128;

const blank = { target: "", provider: "", model: "", upstreamModel: "", dropped: [], costNanoUsd: null };

const idOf = (item: JsonObject): string => (typeof item["id"] === "string" ? item["id"] : "");

export function keepItems(store: CacheStore, items: readonly JsonObject[], names: ItemNames, nowMs: number): void {
  for (const item of items.slice(0, maxItems)) {
    const body = Buffer.from(JSON.stringify(item));
    if (body.length <= maxItemBytes)
      store.set(placeOf(names), names.keyOf(idOf(item)), { ...blank, body, storedAtMs: nowMs }, limits);
  }
}

const isReference = (item: unknown): item is JsonObject =>
  isObject(item) && item["type"] === "item_reference" && isGatewaysItem(item["id"]);

/** Whether a request refers to items that the gateway made. */
export const refersToItems = ({ format, received: { json } }: Shaped): boolean =>
  format === "openai.responses" && Array.isArray(json["input"]) && json["input"].some(isReference);

async function found(store: CacheStore, names: ItemNames, id: string): Promise<JsonObject | null> {
  const kept = await store.get(placeOf(names), names.keyOf(id));
  const item = kept === null ? null : jsonIn(kept.body.toString("utf8"));
  return isObject(item) ? item : null;
}

/** Replaces references by the items themselves. What is no longer known stays a reference. */
export async function resolveItems(shaped: Shaped, store: CacheStore, names: ItemNames): Promise<void> {
  const { json } = shaped.received;
  const input = json["input"] as unknown[];
  const items = await Promise.all(
    input.map(async (item) => (isReference(item) ? ((await found(store, names, idOf(item))) ?? item) : item)),
  );
  json["input"] = items;
  shaped.edits["input"] = items;
  shaped.opened.push("input");
}
