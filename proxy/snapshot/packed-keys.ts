/**
 * The keys of one document as bytes. 50,000 of them as objects are a load that the garbage collector carries about,
 * standing in the way of calls for 10 to 20 ms at a time while a config is taken in. As bytes they are out of its sight;
 * a record is made when its key is first used, and is kept from then on.
 */
import { Buffer } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import { keyShardOf } from "../config/encode.ts";
import type { KeyRecord } from "../config/key-record.ts";
import type { Keeper } from "../config/parse.ts";

/** FNV-1a over the characters: it need only spread names well, and whoever picks them has one that counts, at most. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** Places by the hash of a name: open addressing in flat memory. Several places may have the same name. */
class Places {
  /** Place + 1; 0: free. */
  readonly #slots: Uint32Array;
  readonly #hashes: Int32Array;
  readonly #mask: number;

  constructor(hashes: readonly number[], places: readonly number[]) {
    let size = 2;
    while (size < hashes.length * 2) size *= 2;
    this.#mask = size - 1;
    this.#slots = new Uint32Array(size);
    this.#hashes = new Int32Array(size);
    for (const [at, hash] of hashes.entries()) {
      let slot = hash & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = (places[at] ?? 0) + 1;
      this.#hashes[slot] = hash;
    }
  }

  /** Those that may have the name. */
  of(name: string): number[] {
    const hash = hashOf(name);
    const found: number[] = [];
    for (let slot = hash & this.#mask; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (this.#hashes[slot] === hash) found.push((this.#slots[slot] ?? 0) - 1);
    }
    return found;
  }
}

/** The digest is keyed, so what a look-up takes tells nothing; what was found is confirmed in constant time. */
const same = (a: string, b: string): boolean => timingSafeEqual(Buffer.from(a), Buffer.from(b));

export class PackedKeys {
  readonly size: number;
  /** Shards that its digests belong to: one, as the operator writes it. */
  readonly shards: ReadonlySet<number>;
  /** It has keys that were rotated and are still accepted for a while. */
  readonly hasBefore: boolean;
  readonly #bytes: Buffer;
  /** Where the text of each begins, and the last one ends. */
  readonly #starts: Uint32Array;
  readonly #byDigest: Places;
  readonly #before: Places;
  readonly #byId: Places;
  /** Records that were made, by place. */
  readonly #made = new Map<number, KeyRecord>();
  /** Of keys that were used, by digest. */
  readonly #used = new Map<string, KeyRecord>();

  constructor(
    bytes: Buffer,
    starts: Uint32Array,
    names: Record<"digest" | "before" | "id", Names>,
    shards: Set<number>,
  ) {
    this.size = starts.length - 1;
    this.shards = shards;
    this.hasBefore = names.before.hashes.length > 0;
    this.#bytes = bytes;
    this.#starts = starts;
    this.#byDigest = new Places(names.digest.hashes, names.digest.places);
    this.#before = new Places(names.before.hashes, names.before.places);
    this.#byId = new Places(names.id.hashes, names.id.places);
  }

  #record(place: number): KeyRecord {
    const known = this.#made.get(place);
    if (known !== undefined) return known;
    const record = JSON.parse(this.#bytes.toString("utf8", this.#starts[place], this.#starts[place + 1])) as KeyRecord;
    this.#made.set(place, record);
    return record;
  }

  /** The record of a key by its digest. */
  find(digest: string): KeyRecord | null {
    const used = this.#used.get(digest);
    if (used !== undefined) return same(used.digest, digest) ? used : null;
    for (const place of this.#byDigest.of(digest)) {
      const record = this.#record(place);
      if (!same(record.digest, digest)) continue;
      this.#used.set(digest, record);
      return record;
    }
    return null;
  }

  /** The record of a key by the digest that it had before its rotation. */
  findBefore(digest: string): KeyRecord | null {
    const records = this.#before.of(digest).map((place) => this.#record(place));
    return records.find(({ previous }) => previous !== undefined && same(previous.digest, digest)) ?? null;
  }

  /** Records of the ApiKey `namespace/name`. */
  of(id: string): KeyRecord[] {
    return this.#byId
      .of(id)
      .map((place) => this.#record(place))
      .filter((record) => record.id === id);
  }
}

const firstBytes = 16_384;

/** Where a document's bytes are put together: used for one after the other, since memory that comes and goes makes garbage. */
export class Scratch {
  bytes = Buffer.allocUnsafeSlow(firstBytes);

  /** Room for `end` bytes, of which the first `used` are kept. */
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

/** Packs records that fit the schema. Only one at a time may use a scratch. */
export class KeyPacker implements Keeper<PackedKeys> {
  readonly #scratch: Scratch;
  readonly #starts = [0];
  #end = 0;
  readonly #names: Record<"digest" | "before" | "id", Names> = {
    digest: { hashes: [], places: [] },
    before: { hashes: [], places: [] },
    id: { hashes: [], places: [] },
  };
  readonly #shards = new Set<number>();

  constructor(scratch = new Scratch()) {
    this.#scratch = scratch;
  }

  add(record: KeyRecord): void {
    const text = JSON.stringify(record);
    // No character takes more than three bytes.
    this.#scratch.reserve(this.#end + text.length * 3, this.#end);
    const place = this.#starts.length - 1;
    this.#end += this.#scratch.bytes.write(text, this.#end);
    this.#starts.push(this.#end);
    this.#name("digest", record.digest, place);
    this.#name("id", record.id, place);
    if (record.previous !== undefined) this.#name("before", record.previous.digest, place);
    this.#shards.add(keyShardOf(record.digest));
  }

  #name(by: "digest" | "before" | "id", name: string, place: number): void {
    this.#names[by].hashes.push(hashOf(name));
    this.#names[by].places.push(place);
  }

  kept(): PackedKeys {
    const bytes = Buffer.allocUnsafeSlow(this.#end);
    this.#scratch.bytes.copy(bytes, 0, 0, this.#end);
    return new PackedKeys(bytes, Uint32Array.from(this.#starts), this.#names, this.#shards);
  }
}
