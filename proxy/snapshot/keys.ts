/** Keys by digest and by id. Each document's are indexed by themselves, so that a change costs the index of one document. */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { keyShardOf } from "../config/encode.ts";
import type { KeyLists, Steps } from "../config/parse.ts";
import { type KeyRecord, keyShards } from "../config/schema.ts";

export interface FoundKey {
  record: KeyRecord;
  /** Set where it is the key before a rotation: it is accepted until then, in epoch milliseconds. */
  untilMs: number | null;
}

/** The keys of one document. */
interface Part {
  records: readonly KeyRecord[];
  byDigest: ReadonlyMap<string, KeyRecord>;
  /** By the digests of keys before a rotation. */
  before: ReadonlyMap<string, KeyRecord>;
  /** Shards that its digests belong to: one, as the operator writes it. */
  shards: ReadonlySet<number>;
  /** Made on first use: most installations have no client tokens. */
  byId: ReadonlyMap<string, KeyRecord[]> | null;
}

/** The digest is keyed, so what a map's look-up takes tells nothing; what was found is confirmed in constant time. */
const same = (a: string, b: string): boolean => timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** Entries that are put into an index in one step. */
const atATime = 512;

function* partOf(records: readonly KeyRecord[]): Steps<Part> {
  const byDigest = new Map<string, KeyRecord>();
  const before = new Map<string, KeyRecord>();
  const shards = new Set<number>();
  for (const [at, record] of records.entries()) {
    if (at % atATime === 0) yield;
    const { digest, previous } = record;
    byDigest.set(digest, record);
    if (previous !== undefined) before.set(previous.digest, record);
    shards.add(keyShardOf(digest));
  }
  return { records, byDigest, before, shards, byId: null };
}

/** Parts by the list that they were made of, from one snapshot to the next. */
export type KeyParts = WeakMap<readonly KeyRecord[], Part>;

export class KeyIndex {
  readonly size: number;
  readonly #parts: readonly Part[];
  /** For each shard, the parts that may hold its digests. */
  readonly #shards: readonly (readonly Part[])[];
  readonly #before: readonly Part[];

  private constructor(parts: readonly Part[]) {
    this.#parts = parts;
    this.#shards = Array.from({ length: keyShards }, (_, shard) => parts.filter((part) => part.shards.has(shard)));
    this.#before = parts.filter((part) => part.before.size > 0);
    this.size = parts.reduce((sum, part) => sum + part.records.length, 0);
  }

  static *building(lists: KeyLists, known: KeyParts): Steps<KeyIndex> {
    const parts: Part[] = [];
    for (const list of lists) {
      const part = known.get(list) ?? (yield* partOf(list));
      known.set(list, part);
      parts.push(part);
    }
    return new KeyIndex(parts);
  }

  /** The record with this keyed digest, whatever its state; null where there is none. */
  find(digest: string): FoundKey | null {
    for (const { byDigest } of this.#shards[keyShardOf(digest)] ?? []) {
      const record = byDigest.get(digest);
      if (record !== undefined) return same(record.digest, digest) ? { record, untilMs: null } : null;
    }
    for (const { before } of this.#before) {
      const record = before.get(digest);
      if (record?.previous !== undefined) return same(record.previous.digest, digest) ? { record, untilMs: record.previous.untilMs } : null;
    }
    return null;
  }

  /** Records of the ApiKey `namespace/name`, whatever their state. */
  of(id: string): readonly KeyRecord[] {
    return this.#parts.flatMap((part) => {
      part.byId ??= Map.groupBy(part.records, (record) => record.id);
      return part.byId.get(id) ?? [];
    });
  }
}
