/**
 * Keys that proxies must refuse before the next config says so: the published key records accept them, but their ApiKey
 * was revoked or deleted since. Pure, except for what it remembers.
 *
 *   the watch reports a revocation          it is in the document at once
 *   a pass that read it has published       its key record says the same: it may go, once no proxy serves an older one
 *   every proxy is at that config           it leaves the document
 */
import { canonicalJson, sha256Hex } from "../../proxy/config/encode.ts";
import { type KeyRecord, namespaceOfKey } from "../../proxy/config/key-record.ts";
import { maxRevocations } from "../../proxy/config/revocations.ts";
import { schemaVersion } from "../../proxy/config/schema.ts";

/** "Gone": deleted, or of another installation. */
export type KeyState = "Live" | "Revoked" | "Gone";

interface Entry {
  id: string;
  /** A later key of this name is a different one. */
  gone: boolean;
  turn: number;
  /** The published key records say the same. */
  published: boolean;
}

const idLength = 12;
const maxUnread = 100_000;

/** Takes from every namespace in turn, so that one that deletes thousands of keys keeps no other's revocation out. */
function fairShare(entries: ReadonlyMap<string, Entry>, most: number): string[] {
  if (entries.size <= most) return [...entries.keys()];
  const byNamespace = Map.groupBy(entries.keys(), (digest) => namespaceOfKey(entries.get(digest) as Entry));
  const waiting = [...byNamespace.values()];
  const taken: string[] = [];
  for (let round = 0; taken.length < most; round++)
    for (const digests of waiting) {
      const next = digests[round];
      if (next !== undefined && taken.length < most) taken.push(next);
    }
  return taken;
}

export class RevocationBook {
  readonly #stateOf: (id: string) => KeyState;
  readonly #entries = new Map<string, Entry>();
  /** ApiKeys reported as revoked or deleted that no pass has read yet. */
  readonly #unread = new Map<string, { turn: number; state: KeyState }>();
  readonly #indexes = new WeakMap<readonly KeyRecord[], Map<string, KeyRecord[]>>();
  #turn = 0;
  #published: readonly KeyRecord[] = [];
  #publishing: readonly KeyRecord[] = [];

  /** `stateOf`: of the ApiKey `namespace/name`, as the watch knows it now. */
  constructor(stateOf: (id: string) => KeyState) {
    this.#stateOf = stateOf;
  }

  #recordsOf(keys: readonly KeyRecord[], id: string): readonly KeyRecord[] {
    let index = this.#indexes.get(keys);
    if (index === undefined) {
      index = Map.groupBy(keys, (record) => record.id);
      this.#indexes.set(keys, index);
    }
    return index.get(id) ?? [];
  }

  #add(record: KeyRecord, state: KeyState): void {
    if (record.revoked) return;
    const before = this.#entries.get(record.digest);
    const turn = before === undefined || before.published ? this.#turn : before.turn;
    this.#entries.set(record.digest, { id: record.id, gone: state === "Gone", turn, published: false });
  }

  #judge(id: string, state: KeyState): void {
    if (state === "Live") {
      for (const [digest, entry] of this.#entries) if (entry.id === id && !entry.gone) this.#entries.delete(digest);
      return;
    }
    for (const keys of [this.#published, this.#publishing])
      for (const record of this.#recordsOf(keys, id)) this.#add(record, state);
  }

  /** The watch reported a change of this ApiKey. */
  changed(id: string): void {
    const state = this.#stateOf(id);
    // A key that was made after one of the same name was deleted doesn't bring that one back.
    if (state !== "Live") this.#note(id, state);
    else if (this.#unread.get(id)?.state === "Revoked") this.#unread.delete(id);
    if (state !== "Live" || this.#entries.size > 0) this.#judge(id, state);
  }

  #note(id: string, state: KeyState): void {
    this.#unread.set(id, { turn: ++this.#turn, state });
    // A process that does not lead makes no passes.
    const oldest = this.#unread.size > maxUnread ? this.#unread.keys().next().value : undefined;
    if (oldest !== undefined) this.#unread.delete(oldest);
  }

  /** Call right before a pass reads the objects. What it returns belongs to `publishing` and `published`. */
  reading(): number {
    return this.#turn;
  }

  /** A pass is about to publish these records: revocations since it read are not in them. */
  publishing(keys: readonly KeyRecord[], turn: number): void {
    this.#publishing = keys;
    for (const [id, change] of this.#unread) {
      if (change.turn <= turn) this.#unread.delete(id);
      else this.#judge(id, change.state);
    }
  }

  /** Proxies now find these records. */
  published(keys: readonly KeyRecord[], turn: number): void {
    this.#published = keys;
    this.#publishing = [];
    const read = [...this.#entries].filter(([, entry]) => entry.turn <= turn);
    if (read.length === 0) return;
    const accepted = new Map(keys.flatMap((record) => (record.revoked ? [] : [[record.digest, record.id]])));
    for (const [digest, entry] of read) {
      const id = accepted.get(digest);
      if (id === undefined) entry.published = true;
      // A key with the same value was created since. Otherwise the record is a last good form, and the key stays
      // refused.
      else if (this.#stateOf(id) === "Live") this.#entries.delete(digest);
    }
  }

  /**
   * What was found published when this process became the leader or read everything again. `carried`: digests that the
   * document held then.
   */
  found(keys: readonly KeyRecord[], carried: readonly string[]): void {
    this.#published = keys;
    const byDigest = new Map(carried.length === 0 ? [] : keys.map((record) => [record.digest, record]));
    for (const digest of carried) {
      const record = byDigest.get(digest);
      const live = record !== undefined && !record.revoked;
      if (!live && !this.#entries.has(digest))
        this.#entries.set(digest, { id: record?.id ?? "/", gone: true, turn: this.#turn, published: true });
    }
    for (const record of keys) {
      const state = record.revoked ? "Live" : this.#stateOf(record.id);
      if (state !== "Live" && !this.#entries.has(record.digest)) this.#add(record, state);
    }
  }

  /** Call when this process becomes the leader: another one may have published since. */
  forget(): void {
    this.#entries.clear();
    this.#unread.clear();
    this.#published = [];
    this.#publishing = [];
  }

  /** Every proxy serves what was last published. */
  everywhere(): void {
    for (const [digest, entry] of this.#entries) if (entry.published) this.#entries.delete(digest);
  }

  /** The document to publish, and the name of its content; "" if it has no entry. */
  document(): { id: string; digests: string[]; text: string } {
    const digests = fairShare(this.#entries, maxRevocations).sort();
    const id = digests.length === 0 ? "" : sha256Hex(canonicalJson(digests)).slice(0, idLength);
    return { id, digests, text: canonicalJson({ schemaVersion, id, digests }) };
  }
}
