/**
 * A snapshot with its look-ups. They are methods over fields, not closures made for each snapshot: V8 has optimised
 * closures that are recreated on every swap with a variable of another one.
 */
import { type KeyedDigester, sha256Hex } from "../config/encode.ts";
import { type KeyRecord, minKeyCharacters } from "../config/key-record.ts";
import type { FoundKey, KeyIndex } from "./keys.ts";
import type { LastKey } from "./last-key.ts";
import type { Snapshot } from "./snapshot.ts";

/** What a snapshot holds as data. */
export type SnapshotParts = Omit<Snapshot, "digest" | "findKey" | "keysOf" | "keyCount">;

const noDigests: ReadonlySet<string> = new Set();

export class IndexedSnapshot implements Snapshot {
  readonly revision: Snapshot["revision"];
  readonly settings: Snapshot["settings"];
  readonly roles: Snapshot["roles"];
  readonly origins: Snapshot["origins"];
  readonly providers: Snapshot["providers"];
  readonly paths: Snapshot["paths"];
  readonly prefixes: Snapshot["prefixes"];
  readonly budgets: Snapshot["budgets"];
  readonly clientTokens: Snapshot["clientTokens"];
  readonly statusToken: string;
  readonly operatorToken: string;
  readonly ids: Snapshot["ids"];
  readonly summaries: Snapshot["summaries"];
  readonly keyCount: number;
  readonly #parts: SnapshotParts;
  readonly #keys: KeyIndex;
  readonly #digester: KeyedDigester;
  /** Digests of keys that are refused whatever their record says. */
  readonly #revoked: ReadonlySet<string>;

  constructor(parts: SnapshotParts, keys: KeyIndex, digester: KeyedDigester, revoked = noDigests) {
    this.revision = parts.revision;
    this.settings = parts.settings;
    this.roles = parts.roles;
    this.origins = parts.origins;
    this.providers = parts.providers;
    this.paths = parts.paths;
    this.prefixes = parts.prefixes;
    this.budgets = parts.budgets;
    this.clientTokens = parts.clientTokens;
    this.statusToken = parts.statusToken;
    this.operatorToken = parts.operatorToken;
    this.ids = parts.ids;
    this.summaries = parts.summaries;
    this.keyCount = keys.size;
    this.#parts = parts;
    this.#keys = keys;
    this.#digester = digester;
    this.#revoked = revoked;
  }

  digest(text: string): string {
    return this.#digester.digest(text);
  }

  findKey(clear: string, last?: LastKey): FoundKey | null {
    const digest = last === undefined ? this.#digester.digest(clear) : last.digestOf(clear, this.#digester);
    const match = this.#keys.find(digest) ?? this.#findForeign(clear);
    return match === null || !this.#revoked.has(match.record.digest)
      ? match
      : { ...match, record: this.#refused(match.record) };
  }

  keysOf(id: string): readonly KeyRecord[] {
    const records = this.#keys.of(id);
    return this.#revoked.size === 0 ? records : records.map((record) => this.#refused(record));
  }

  /** The same snapshot with the keys refused that are in `digests`, and no others. */
  revoking(digests: ReadonlySet<string>): IndexedSnapshot {
    return new IndexedSnapshot(this.#parts, this.#keys, this.#digester, digests);
  }

  #refused(record: KeyRecord): KeyRecord {
    return this.#revoked.has(record.digest) ? { ...record, revoked: true } : record;
  }

  /** By plain SHA-256, for keys that another gateway issued. */
  #findForeign(clear: string): FoundKey | null {
    const keys = this.#keys;
    return keys.hasForeign && clear.length >= minKeyCharacters ? keys.findForeign(sha256Hex(clear)) : null;
  }
}
