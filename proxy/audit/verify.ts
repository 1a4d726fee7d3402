/** Checks that audit lines are as they were written: nothing changed, missing, added or out of order. */
import { nounCount } from "../config/noun-count.ts";
import { type Digester, digestBy, type Link, noHash, readLink } from "./chain.ts";
import { type EndClaim, RetentionClaims } from "./claims.ts";
import { AuditMarks } from "./marks.ts";

export interface Trouble {
  /** File or stream, and line. */
  where: string;
  what: string;
}

export interface Verified {
  records: number;
  chains: number;
  troubles: Trouble[];
  /** Worth knowing, but no sign of tampering. */
  notes: Trouble[];
}

interface Seen {
  where: string;
  first: Link;
  /** The record with the highest number. */
  last: Link;
  closed: boolean;
  marks: AuditMarks;
  repeated: { count: number; where: string } | null;
  gaps: { from: number; to: number; where: string }[];
}

export class Verifier {
  readonly #digester: Digester;
  readonly #chains = new Map<string, Seen>();
  readonly #claims: RetentionClaims;
  readonly #troubles: Trouble[] = [];
  readonly #notes: Trouble[] = [];
  #records = 0;

  /** One per place. `place`: name of the sink that wrote the records and recorded what is missing there. */
  constructor(key: Uint8Array | null, place = "file") {
    this.#digester = digestBy(key);
    this.#claims = new RetentionClaims(place);
  }

  /** A line, in the order in which lines are kept. `torn`: the last line of a file, without a line end. */
  add(line: string, where: string, torn = false): void {
    const link = readLink(line, this.#digester);
    if (link === null) {
      if (torn)
        this.#notes.push({ where, what: "the last line is cut off: the process ended while writing it, or could not" });
      else this.#troubles.push({ where, what: "this is not an audit record, or it was changed" });
      return;
    }
    this.#records++;
    if (!link.sound)
      this.#troubles.push({
        where,
        what: `record ${link.seq} of chain ${link.chain} was changed, or was made with another key`,
      });
    this.#follow(link, where);
    if (link.sound) this.#claims.note(link, where);
  }

  #follow(link: Link, where: string): void {
    const { chain, seq, prev } = link;
    const seen = this.#chains.get(chain);
    if (seen === undefined) {
      const marks = new AuditMarks();
      marks.add(seq, link.hash);
      this.#chains.set(chain, {
        where,
        first: link,
        last: link,
        closed: link.type === "closed",
        marks,
        repeated: null,
        gaps: [],
      });
      if (seq === 0 && prev !== noHash)
        this.#troubles.push({ where, what: `chain ${chain} begins with a record that follows another` });
      return;
    }
    const { last } = seen;
    if (seq <= last.seq) {
      this.#again(link, seen, where);
      return;
    }
    if (seq > last.seq + 1) seen.gaps.push({ from: last.seq + 1, to: seq - 1, where });
    else if (prev !== last.hash)
      this.#troubles.push({
        where,
        what: `record ${seq} of chain ${chain} does not follow record ${last.seq}, which was changed`,
      });
    if (seen.closed) this.#troubles.push({ where, what: `chain ${chain} was closed before record ${seq}` });
    seen.last = link;
    seen.marks.add(seq, link.hash);
    seen.closed = link.type === "closed";
  }

  /** A duplicate of an existing record adds and removes nothing. */
  #again({ chain, seq, hash }: Link, seen: Seen, where: string): void {
    if (seen.marks.has(seq, hash))
      seen.repeated = { count: (seen.repeated?.count ?? 0) + 1, where: seen.repeated?.where ?? where };
    else
      this.#troubles.push({
        where,
        what: `record ${seq} of chain ${chain} comes after record ${seen.last.seq}: out of order, or not the one that was there`,
      });
  }

  #checkFollows({ chain, seq, hash, where }: EndClaim): void {
    const seen = this.#chains.get(chain);
    if (seen === undefined) {
      if (!this.#claims.retired.some((claim) => claim.chain === chain && claim.seq >= seq))
        this.#troubles.push({
          where,
          what: `chain ${chain}, which came before, is missing, and no record says that retention deleted it`,
        });
    } else if (seen.last.seq < seq)
      this.#troubles.push({
        where: seen.where,
        what: `chain ${chain} ends with record ${seen.last.seq}, and went on to ${seq}, as ${where} says: its end is missing`,
      });
    else if (seen.last.seq === seq && seen.last.hash !== hash)
      this.#troubles.push({
        where: seen.where,
        what: `chain ${chain} does not end as ${where} says: it was rewritten`,
      });
  }

  #checkBeginning(chain: string, { first, last, marks, where }: Seen): void {
    if (first.seq === 0) return;
    /** The deletion reached what is there, or went past it if not everything announced was deleted. */
    const retired = this.#claims.retired.some((claim) => {
      if (claim.chain !== chain || claim.seq < first.seq - 1) return false;
      if (claim.seq === first.seq - 1) return claim.hash === first.prev;
      return claim.seq > last.seq || marks.has(claim.seq, claim.hash);
    });
    const what = `chain ${chain} begins with record ${first.seq}`;
    if (retired) this.#notes.push({ where, what: `${what}: earlier records were kept as long as retention requires` });
    else this.#troubles.push({ where, what: `${what}, and no record says that retention deleted the earlier ones` });
  }

  #checkGaps(chain: string, { gaps }: Seen): void {
    for (const { from, to, where } of gaps) {
      const what = `of chain ${chain}, ${nounCount(to - from + 1, "record")} after ${from - 1} missing`;
      const dropped = this.#claims.dropped.some(
        (claim) => claim.chain === chain && claim.from <= from && claim.to >= to,
      );
      if (dropped) this.#notes.push({ where, what: `${what}: the chain itself says that they were lost on the way` });
      else this.#troubles.push({ where, what });
    }
  }

  #checkChain(chain: string, seen: Seen): void {
    this.#checkBeginning(chain, seen);
    this.#checkGaps(chain, seen);
    if (seen.repeated !== null) {
      const { count, where } = seen.repeated;
      this.#notes.push({
        where,
        what: `of chain ${chain}, ${nounCount(count, "record is", "records are")} here once more, unchanged, from this one on: written again after an answer was lost, or copied`,
      });
    }
    if (!seen.closed)
      this.#notes.push({
        where: seen.where,
        what: `chain ${chain} is not closed: it is being written, or the process ended at once`,
      });
  }

  /** Call it once, after the last line. */
  end(): Verified {
    for (const claim of this.#claims.follows) this.#checkFollows(claim);
    for (const [chain, seen] of this.#chains) this.#checkChain(chain, seen);
    return { records: this.#records, chains: this.#chains.size, troubles: this.#troubles, notes: this.#notes };
  }
}
