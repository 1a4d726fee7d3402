/** What records say about other records in one place: which chains came before, what was deleted, what never arrived. */
import { z } from "zod";
import type { Link } from "./chain.ts";
import type { End } from "./sink.ts";

const end = z.object({ in: z.string().default("file"), chain: z.string(), seq: z.number(), hash: z.string() });
const opened = z.object({ follows: z.union([z.array(end), end.transform((claim) => [claim])]) });
const retired = z.object({ in: z.string().default("file"), until: end.omit({ in: true }) });
const dropped = z.object({ in: z.string(), from: z.number(), to: z.number() });

export interface EndClaim {
  /** File or stream, and line, of the record that says so. */
  where: string;
  chain: string;
  seq: number;
  hash: string;
}

export interface GapClaim {
  chain: string;
  from: number;
  to: number;
}

export class RetentionClaims {
  readonly #place: string;
  /** The chain reached at least this number. */
  readonly follows: EndClaim[] = [];
  /** The chain was deleted up to this number. */
  readonly retired: EndClaim[] = [];
  readonly dropped: GapClaim[] = [];

  /** `place`: name of the sink that wrote the records. Claims about other sinks are ignored. */
  constructor(place: string) {
    this.#place = place;
  }

  note({ type, chain, record }: Link, where: string): void {
    if (type === "opened") {
      const followed = opened.safeParse(record).data?.follows ?? [];
      for (const claim of followed) if (claim.in === this.#place) this.follows.push({ ...claim, where });
    } else if (type === "retired") {
      const removed = retired.safeParse(record).data;
      if (removed?.in === this.#place) this.retired.push({ ...removed.until, where });
    } else if (type === "dropped") {
      const lost = dropped.safeParse(record).data;
      if (lost?.in === this.#place) this.dropped.push({ chain, from: lost.from, to: lost.to });
    }
  }
}

/** Claims in records that are about to be deleted and are still needed: the furthest of each chain. */
export function stillNeeded(claims: readonly EndClaim[], needed: ReadonlySet<string>): End[] {
  const furthest = new Map<string, End>();
  for (const { chain, seq, hash } of claims)
    if (needed.has(chain) && seq >= (furthest.get(chain)?.seq ?? 0)) furthest.set(chain, { chain, seq, hash });
  return [...furthest.values()];
}
