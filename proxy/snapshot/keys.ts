/** Keys by digest and by id, over all documents. */
import { keyShardOf } from "../config/encode.ts";
import type { KeyRecord } from "../config/key-record.ts";
import { keyShards } from "../config/schema.ts";
import type { PackedKeys } from "./packed-keys.ts";

export interface FoundKey {
  record: KeyRecord;
  /** Set where it is the key before a rotation: it is accepted until then, in epoch milliseconds. */
  untilMs: number | null;
}

/** Costs next to nothing to make: what takes time was done document by document. */
export class KeyIndex {
  readonly size: number;
  readonly #parts: readonly PackedKeys[];
  /** For each shard, the parts that may hold its digests: one, as the operator writes them. */
  readonly #shards: readonly (readonly PackedKeys[])[];
  readonly #before: readonly PackedKeys[];

  constructor(parts: readonly PackedKeys[]) {
    this.#parts = parts;
    this.#shards = Array.from({ length: keyShards }, (_, shard) => parts.filter((part) => part.shards.has(shard)));
    this.#before = parts.filter((part) => part.hasBefore);
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
  }

  /** The record with this keyed digest, whatever its state; null where there is none. */
  find(digest: string): FoundKey | null {
    for (const part of this.#shards[keyShardOf(digest)] ?? []) {
      const record = part.find(digest);
      if (record !== null) return { record, untilMs: null };
    }
    for (const part of this.#before) {
      const record = part.findBefore(digest);
      if (record?.previous !== undefined) return { record, untilMs: record.previous.untilMs };
    }
    return null;
  }

  /** Records of the ApiKey `namespace/name`, whatever their state. */
  of(id: string): readonly KeyRecord[] {
    return this.#parts.flatMap((part) => part.of(id));
  }
}
