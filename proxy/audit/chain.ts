/**
 * The chain of audit records. Each line ends with a digest over everything before it, including the digest of the
 * previous line, so changing, removing, adding or reordering a line would mean rewriting all that follow. With a key
 * (HMAC) only the holder of the key can do that. Pure.
 *
 *   {"v":1,"chain":"…","seq":7,…,"prev":"<hex>","hash":"<hex>"}
 *
 * `hash` is SHA-256, or HMAC-SHA-256 if there is a key, in lower-case hex, over the bytes of the line up to the comma
 * before `"hash"`. `prev` is the hash of the previous line, and 64 zeros in the first line of a chain.
 */
import { hash } from "node:crypto";
import { KeyedDigester } from "../config/encode.ts";

export const noHash = "0".repeat(64);

/** SHA-256, or HMAC-SHA-256 if there is a key, in hex. */
export interface Digester {
  digest(bytes: string): string;
}

const plain: Digester = { digest: (bytes) => hash("sha256", bytes, "hex") };

/** `key`: null for a plain digest. */
export const digestBy = (key: Uint8Array | null): Digester => (key === null ? plain : new KeyedDigester(key));

export class Chain {
  readonly id: string;
  readonly #digester: Digester;
  #seq = 0;
  #last = noHash;

  /** `id`: unique among chains. `key`: null for a plain digest. */
  constructor(id: string, key: Uint8Array | null) {
    this.id = id;
    this.#digester = digestBy(key);
  }

  /** Number of the next record. */
  get next(): number {
    return this.#seq;
  }

  get last(): { seq: number; hash: string } {
    return { seq: this.#seq - 1, hash: this.#last };
  }

  /** The line of a record. `members` are JSON without braces, such as `"type":"call","status":200`. */
  add(members: string): string {
    const body = `{"v":1,"chain":"${this.id}","seq":${this.#seq++},${members},"prev":"${this.#last}"`;
    this.#last = this.#digester.digest(body);
    return `${body},"hash":"${this.#last}"}\n`;
  }
}

const unasked: Digester = { digest: () => "" };

/** Offset of the last member; the digest covers everything before it. */
const tail = /,"hash":"([0-9a-f]{64})"\}$/;

export interface Link {
  chain: string;
  seq: number;
  type: string;
  prev: string;
  hash: string;
  /** Whether the digest matches the line. */
  sound: boolean;
  record: Readonly<Record<string, unknown>>;
}

/** null if the line doesn't belong to a chain. */
export function readLink(line: string, digester: Digester): Link | null {
  const match = tail.exec(line);
  if (match === null) return null;
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
  const { chain, seq, type, prev } = record;
  if (typeof chain !== "string" || typeof seq !== "number" || typeof type !== "string" || typeof prev !== "string")
    return null;
  const hash = match[1] ?? "";
  return { chain, seq, type, prev, hash, sound: digester.digest(line.slice(0, match.index)) === hash, record };
}

export interface ChainEnd {
  end: { chain: string; seq: number; hash: string };
  /** The record's own time; NaN if it has none. */
  timeMs: number;
  link: Link;
}

/** The end of a chain at this line, without checking the line. null if the line doesn't belong to a chain. */
export function readEnd(line: string): ChainEnd | null {
  const link = readLink(line, unasked);
  if (link === null) return null;
  const { chain, seq, hash: digest, record } = link;
  return { end: { chain, seq, hash: digest }, timeMs: Date.parse(String(record["time"])), link };
}
