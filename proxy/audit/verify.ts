/** Whether a series of audit lines is what was written: nothing changed, missing, added or out of order. */
import { type Digest, digestBy, type Link, noHash, readLink } from "./chain.ts";

export interface Trouble {
  /** File, or stream, and line. */
  where: string;
  what: string;
}

export interface Verified {
  records: number;
  chains: number;
  troubles: Trouble[];
  /** What is no sign of tampering, and worth knowing. */
  notes: Trouble[];
}

interface Seen {
  where: string;
  first: Link;
  last: Link;
  closed: boolean;
}

/** Ends of chains that a later record vouches for. */
interface Claim {
  where: string;
  chain: string;
  seq: number;
  hash: string;
  /** follows: that chain ended there. retired: it was deleted up to there. */
  kind: "follows" | "retired";
}

export class Verifier {
  readonly #digest: Digest;
  readonly #chains = new Map<string, Seen>();
  readonly #claims: Claim[] = [];
  readonly #troubles: Trouble[] = [];
  readonly #notes: Trouble[] = [];
  #records = 0;

  constructor(key: Uint8Array | null) {
    this.#digest = digestBy(key);
  }

  /** A line in the order in which lines are kept. `torn`: it is the last of a file and has no end. */
  add(line: string, where: string, torn = false): void {
    const link = readLink(line, this.#digest);
    if (link === null) {
      if (torn) this.#notes.push({ where, what: "the last line is cut off: the process ended while writing it" });
      else this.#troubles.push({ where, what: "this is no audit record, or a changed one" });
      return;
    }
    this.#records++;
    if (!link.sound) this.#troubles.push({ where, what: `record ${link.seq} of chain ${link.chain} was changed, or was made with another key` });
    this.#follow(link, where);
    this.#note(link, where);
  }

  #follow(link: Link, where: string): void {
    const seen = this.#chains.get(link.chain);
    if (seen === undefined) {
      this.#chains.set(link.chain, { where, first: link, last: link, closed: link.type === "closed" });
      if (link.seq === 0 && link.prev !== noHash) this.#troubles.push({ where, what: `chain ${link.chain} begins with a record that follows another` });
      return;
    }
    const { last } = seen;
    if (link.seq <= last.seq)
      this.#troubles.push({ where, what: `record ${link.seq} of chain ${link.chain} comes after record ${last.seq}: repeated or out of order` });
    else if (link.seq > last.seq + 1)
      this.#troubles.push({ where, what: `of chain ${link.chain}, ${link.seq - last.seq - 1} records after ${last.seq} are missing` });
    else if (link.prev !== last.hash)
      this.#troubles.push({ where, what: `record ${link.seq} of chain ${link.chain} does not follow record ${last.seq}, which was changed` });
    if (seen.closed) this.#troubles.push({ where, what: `chain ${link.chain} was closed before record ${link.seq}` });
    seen.last = link;
    seen.closed = link.type === "closed";
  }

  #note({ record, type }: Link, where: string): void {
    const told = (type === "opened" ? record["follows"] : type === "retired" ? record["until"] : null) as {
      chain?: string;
      seq?: number;
      hash?: string;
    } | null;
    if (told === null || told === undefined || typeof told.chain !== "string") return;
    this.#claims.push({ where, chain: told.chain, seq: Number(told.seq), hash: String(told.hash), kind: type === "opened" ? "follows" : "retired" });
  }

  #checkClaim(claim: Claim): void {
    const seen = this.#chains.get(claim.chain);
    if (claim.kind === "follows") {
      if (seen === undefined) {
        const retired = this.#claims.some((one) => one.kind === "retired" && one.chain === claim.chain && one.seq === claim.seq);
        if (!retired)
          this.#troubles.push({
            where: claim.where,
            what: `chain ${claim.chain}, which came before, is missing, and nothing tells that it was deleted for its age`,
          });
        return;
      }
      if (seen.last.seq < claim.seq)
        this.#troubles.push({
          where: seen.where,
          what: `chain ${claim.chain} ends with record ${seen.last.seq}, and went on to ${claim.seq}, as ${claim.where} tells: its end is missing`,
        });
      else if (seen.last.seq === claim.seq && seen.last.hash !== claim.hash)
        this.#troubles.push({ where: seen.where, what: `chain ${claim.chain} does not end as ${claim.where} tells: it was written anew` });
    }
  }

  #checkBeginning(chain: string, { first, where }: Seen): void {
    if (first.seq === 0) return;
    const retired = this.#claims.some((claim) => claim.kind === "retired" && claim.chain === chain && claim.seq === first.seq - 1 && claim.hash === first.prev);
    const report = { where, what: `chain ${chain} begins with record ${first.seq}` };
    if (retired) this.#notes.push({ ...report, what: `${report.what}: what came before was kept for as long as it should be` });
    else this.#troubles.push({ ...report, what: `${report.what}, and nothing tells that what came before was deleted for its age` });
  }

  /** To be called once, after the last line. */
  end(): Verified {
    for (const claim of this.#claims) this.#checkClaim(claim);
    for (const [chain, seen] of this.#chains) {
      this.#checkBeginning(chain, seen);
      if (!seen.closed) this.#notes.push({ where: seen.where, what: `chain ${chain} is not closed: it is being written, or the process ended at once` });
    }
    return { records: this.#records, chains: this.#chains.size, troubles: this.#troubles, notes: this.#notes };
  }
}
