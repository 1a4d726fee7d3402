/**
 * The keys of one document as bytes. As objects, 50,000 keys make the garbage collector hold up calls for 10 to 20 ms
 * at a time while a config is loaded. Bytes cost it nothing. A record is parsed when its key is first used, and kept
 * from then on.
 */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { keyShardOf } from "../config/encode.ts";
import type { KeyRecord } from "../config/key-record.ts";
import type { Keeper } from "../config/parse.ts";

/**
 * FNV-1a over the characters. It only has to spread names well: a caller who picks names to collide can have at most
 * one that exists.
 */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

/** Maps hashes of names to places, with open addressing in flat memory. Several places may have the same name. */
class Places {
  /** Place + 1; 0 marks a free slot. */
  readonly #slots: Uint32Array;
  readonly #hashes: Int32Array;
  readonly #mask: number;

  constructor(hashes: readonly number[], places: readonly number[]) {
    let size = 2;
    while (size < hashes.length * 2) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Uint32Array(size);
    this.#hashes = new Int32Array(size);
    for (const [index, hash] of hashes.entries()) {
      let slot = hash & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = (places[index] ?? 0) + 1;
      this.#hashes[slot] = hash;
    }
  }

  /** Returns the places whose name may be `name`. */
  of(name: string): number[] {
    const hash = hashOf(name);
    const matches: number[] = [];
    for (let slot = hash & this.#mask; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (this.#hashes[slot] === hash) matches.push((this.#slots[slot] ?? 0) - 1);
    }
    return matches;
  }
}

/**
 * Compares in constant time. The timing of the look-up before it reveals nothing: a digest is keyed, and what a SHA-256
 * begins with says nothing of a random key.
 */
const same = (a: string, b: string): boolean => timingSafeEqual(Buffer.from(a), Buffer.from(b));

type NamesBy = Record<"digest" | "before" | "id" | "foreign", Names>;

export class PackedKeys {
  readonly size: number;
  /** Shards that its digests belong to. As the operator writes it, that is one. */
  readonly shards: ReadonlySet<number>;
  /** Whether it has rotated keys that are still accepted for a while. */
  readonly hasBefore: boolean;
  readonly #bytes: Buffer;
  /** Where the text of each record begins, and where the last one ends. */
  readonly #starts: Uint32Array;
  /** Whether it has keys of another gateway. */
  readonly hasForeign: boolean;
  readonly #byDigest: Places;
  readonly #before: Places;
  readonly #byId: Places;
  readonly #foreign: Places;
  /** Parsed records, by place. */
  readonly #made = new Map<number, KeyRecord>();
  /** Records of keys that were used, by digest. */
  readonly #used = new Map<string, KeyRecord>();

  constructor(bytes: Buffer, starts: Uint32Array, names: NamesBy, shards: Set<number>) {
    this.size = starts.length - 1;
    this.shards = shards;
    this.hasBefore = names.before.hashes.length > 0;
    this.#bytes = bytes;
    this.#starts = starts;
    this.#byDigest = new Places(names.digest.hashes, names.digest.places);
    this.#before = new Places(names.before.hashes, names.before.places);
    this.#byId = new Places(names.id.hashes, names.id.places);
    this.hasForeign = names.foreign.hashes.length > 0;
    this.#foreign = new Places(names.foreign.hashes, names.foreign.places);
  }

  #record(place: number): KeyRecord {
    const parsed = this.#made.get(place);
    if (parsed !== undefined) return parsed;
    const record = JSON.parse(this.#bytes.toString("utf8", this.#starts[place], this.#starts[place + 1])) as KeyRecord;
    this.#made.set(place, record);
    return record;
  }

  /** Returns the record of the key with this digest. */
  find(digest: string): KeyRecord | null {
    const used = this.#used.get(digest);
    if (used !== undefined) return used;
    for (const place of this.#byDigest.of(digest)) {
      const record = this.#record(place);
      if (!same(record.digest, digest)) continue;
      this.#used.set(digest, record);
      return record;
    }
    return null;
  }

  /** Returns the record of the key that had this digest before its rotation. */
  findBefore(digest: string): KeyRecord | null {
    const records = this.#before.of(digest).map((place) => this.#record(place));
    return records.find(({ previous }) => previous !== undefined && same(previous.digest, digest)) ?? null;
  }

  /** Returns the record of the key of another gateway with this SHA-256. */
  findForeign(sha256: string): KeyRecord | null {
    const records = this.#foreign.of(sha256).map((place) => this.#record(place));
    return records.find(({ foreign = [] }) => foreign.some((value) => same(value, sha256))) ?? null;
  }

  /** Returns the records of the ApiKey `namespace/name`. */
  of(id: string): KeyRecord[] {
    return this.#byId
      .of(id)
      .map((place) => this.#record(place))
      .filter((record) => record.id === id);
  }
}

const firstBytes = 16_384;

/** Buffer in which a document's bytes are assembled, reused from document to document to avoid garbage. */
export class Scratch {
  bytes = Buffer.allocUnsafeSlow(firstBytes);

  /** Makes room for `end` bytes and keeps the first `used`. */
  reserve(end: number, used: number): void {
    if (end <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, end));
    this.bytes.copy(larger, 0, 0, used);
    this.bytes = larger;
  }
}

interface Names {
  hashes: number[];
  places: number[];
}

/** Packs records that fit the schema. Only one packer at a time may use a scratch buffer. */
export class KeyPacker implements Keeper<PackedKeys> {
  readonly #scratch: Scratch;
  readonly #starts = [0];
  #end = 0;
  readonly #names: NamesBy = {
    digest: { hashes: [], places: [] },
    before: { hashes: [], places: [] },
    id: { hashes: [], places: [] },
    foreign: { hashes: [], places: [] },
  };
  readonly #shards = new Set<number>();

  constructor(scratch = new Scratch()) {
    this.#scratch = scratch;
  }

  add(record: KeyRecord): void {
    const text = JSON.stringify(record);
    // A UTF-16 code unit takes at most three bytes in UTF-8.
    this.#scratch.reserve(this.#end + text.length * 3, this.#end);
    const place = this.#starts.length - 1;
    this.#end += this.#scratch.bytes.write(text, this.#end);
    this.#starts.push(this.#end);
    this.#name("digest", record.digest, place);
    this.#name("id", record.id, place);
    if (record.previous !== undefined) this.#name("before", record.previous.digest, place);
    for (const value of record.foreign ?? []) this.#name("foreign", value, place);
    this.#shards.add(keyShardOf(record.digest));
  }

  #name(by: keyof NamesBy, name: string, place: number): void {
    this.#names[by].hashes.push(hashOf(name));
    this.#names[by].places.push(place);
  }

  kept(): PackedKeys {
    const bytes = Buffer.allocUnsafeSlow(this.#end);
    this.#scratch.bytes.copy(bytes, 0, 0, this.#end);
    return new PackedKeys(bytes, Uint32Array.from(this.#starts), this.#names, this.#shards);
  }
}
