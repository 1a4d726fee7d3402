/** Keys by digest and by id, across all documents. */
import { keyShardOf } from "../config/encode.ts";
import type { KeyRecord } from "../config/key-record.ts";
import { keyShards } from "../config/schema.ts";
import type { PackedKeys } from "./packed-keys.ts";

export interface FoundKey {
  record: KeyRecord;
  /** For the key before a rotation: when it stops being accepted, in epoch milliseconds. null for the present key. */
  untilMs: number | null;
  /** The SHA-256 of a key of another gateway, by which it was found. */
  foreign?: string;
}

/** Cheap to construct: the expensive work is done document by document. */
export class KeyIndex {
  readonly size: number;
  readonly #parts: readonly PackedKeys[];
  /** For each shard, the parts that may hold its digests. As the operator writes them, that is one part. */
  readonly #shards: readonly (readonly PackedKeys[])[];
  readonly #before: readonly PackedKeys[];
  readonly #foreign: readonly PackedKeys[];

  constructor(parts: readonly PackedKeys[]) {
    this.#parts = parts;
    this.#shards = Array.from({ length: keyShards }, (_, shard) => parts.filter((part) => part.shards.has(shard)));
    this.#before = parts.filter((part) => part.hasBefore);
    this.#foreign = parts.filter((part) => part.hasForeign);
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
  }

  /** Returns the record with this keyed digest, whatever its state, or null. */
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

  /** Whether any key of another gateway is known. */
  get hasForeign(): boolean {
    return this.#foreign.length > 0;
  }

  /** Returns the record of the key of another gateway with this SHA-256, whatever its state, or null. */
  findForeign(sha256: string): FoundKey | null {
    for (const part of this.#foreign) {
      const record = part.findForeign(sha256);
      if (record !== null) return { record, untilMs: null, foreign: sha256 };
    }
    return null;
  }

  /** Returns the records of the ApiKey `namespace/name`, whatever their state. */
  of(id: string): readonly KeyRecord[] {
    return this.#parts.flatMap((part) => part.of(id));
  }
}
