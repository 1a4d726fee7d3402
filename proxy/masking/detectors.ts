/**
 * Finds personal data in text as a person reads it (fold.ts), from left to right. Each character is looked at a bounded
 * number of times, whatever the text: e-mail addresses are found from their @ outwards, numbers from each group of
 * digits over the few groups that one may have. Pure.
 */

import { type Folded, fold } from "../guard/fold.ts";
import { type Candidate, cardAt, ssnAt } from "./cards.ts";
import { DigitGroups } from "./digit-groups.ts";
import { Emails } from "./emails.ts";
import { earlier, phoneAt } from "./phones.ts";

export { passesLuhn } from "./cards.ts";

export const detectorNames = ["Email", "Phone", "SSN", "CreditCard"] as const;
export type DetectorName = (typeof detectorNames)[number];

export interface Finding {
  start: number;
  end: number;
  type: string;
}

/** Finds in the order of the text, none over another. */
type Detector = (text: string) => Finding[];

/** Earlier ones first; of those that begin together the longest. What overlaps one before is left out. */
export function settled(found: Finding[]): Finding[] {
  found.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Finding[] = [];
  for (const one of found) if (one.end > one.start && one.start >= (kept.at(-1)?.end ?? 0)) kept.push(one);
  return kept;
}

/** Texts without these hold none of the four: most need no further look. */
const worthALook = /[@\d]/;
const worthALookFolded = /[@\d\uff20\ufe6b\p{Nd}]/u;
const ascii = /^[\0-\x7f]*$/;
export const mayHold = (text: string): boolean =>
  worthALook.test(text) || (!ascii.test(text) && worthALookFolded.test(text));

/** Texts are looked at in blocks, so that what is kept of one doesn't grow with it. */
const blockLength = 16_384;
/** What stands before a block, to tell whether a number begins there. */
const context = 64;
/** The longest datum, and what follows it. */
const reach = 512;

type Numbers = readonly (readonly [DetectorName, (groups: DigitGroups, index: number) => Candidate | null])[];
const numberTypes: Numbers = [
  ["Phone", phoneAt],
  ["SSN", ssnAt],
  ["CreditCard", cardAt],
];

interface Typed extends Candidate {
  type: DetectorName;
}

function numberAt(groups: DigitGroups, index: number, types: Numbers): Typed | null {
  let best: Typed | null = null;
  for (const [type, at] of types) {
    const candidate = at(groups, index);
    if (candidate !== null)
      best = earlier(best, { start: candidate.start, end: candidate.end, last: candidate.last, type });
  }
  return best;
}

/** Finds of a folded text from left to right: what is found is passed over, whatever kind it is. */
class Finds {
  readonly found: Finding[] = [];
  readonly #groups: DigitGroups;
  readonly #emails: Emails | null;
  readonly #types: Numbers;
  #floor: number;

  constructor(text: string, from: number, wanted: ReadonlySet<DetectorName>) {
    this.#types = numberTypes.filter(([type]) => wanted.has(type));
    this.#groups = new DigitGroups(text);
    this.#emails = wanted.has("Email") ? new Emails(text, from) : null;
    this.#floor = from;
  }

  /** All of them that begin at `from` or behind it. */
  run(): readonly Finding[] {
    if (this.#types.length > 0) for (let index = 0; this.#groups.has(index); index++) index = this.#group(index);
    this.#emailsBefore(null);
    return this.found;
  }

  /** The last group that is done with. */
  #group(index: number): number {
    if (this.#groups.start(index) < this.#floor) return index;
    const number = numberAt(this.#groups, index, this.#types);
    if (number === null || number.start < this.#floor) return index;
    this.#emailsBefore(number);
    if (this.#floor > number.start) return index;
    this.#add(number);
    return number.last;
  }

  /** Addresses that begin before the number, or with it and are longer. null: all that are left. */
  #emailsBefore(number: Typed | null): void {
    const emails = this.#emails;
    while (emails !== null && !emails.done && (number === null || isBefore(emails, number))) {
      if (number !== null && this.#floor > number.start) return;
      this.#add({ start: emails.start, end: emails.end, type: "Email" });
    }
  }

  #add({ start, end, type }: Finding): void {
    this.found.push({ start, end, type });
    this.#floor = end;
    this.#emails?.from(end);
  }
}

const isBefore = (emails: Emails, number: Typed): boolean =>
  emails.start < number.start || (emails.start === number.start && emails.end >= number.end);

/** Offset in the folded text of what stands at `at` or behind it in the original. */
function foldedOffset({ text, from }: Folded, at: number): number {
  if (from === null) return at;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((from[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The finds of one block that begin in it, behind `floor`; places are those of the whole text. */
function* findsInBlock(
  text: string,
  begin: number,
  floor: number,
  wanted: ReadonlySet<DetectorName>,
): Generator<Finding> {
  const low = Math.max(0, begin - context);
  const high = begin + blockLength + reach;
  const block = low === 0 && high >= text.length ? text : text.slice(low, high);
  if (!mayHold(block)) return;
  const folded = fold(block);
  const from = foldedOffset(folded, Math.max(floor, begin) - low);
  for (const { start, end, type } of new Finds(folded.text, from, wanted).run()) {
    const first = low + (folded.from === null ? start : (folded.from[start] as number));
    if (first >= begin + blockLength) return;
    yield { start: first, end: low + (folded.to === null ? end : (folded.to[end - 1] as number)), type };
  }
}

/** What is found that begins at `from` or behind it; what stands before is there to tell whether something begins. */
export function findAll(text: string, wanted: ReadonlySet<DetectorName>, from = 0): Finding[] {
  const found: Finding[] = [];
  let floor = from;
  for (let begin = from; begin < text.length; begin += blockLength) {
    if (floor >= begin + blockLength) continue;
    for (const finding of findsInBlock(text, begin, floor, wanted)) {
      found.push(finding);
      floor = finding.end;
    }
  }
  return found;
}

const only = (type: DetectorName): Detector => {
  const wanted = new Set([type]);
  return (text) => findAll(text, wanted);
};

export const detectors: Readonly<Record<DetectorName, Detector>> = {
  Email: only("Email"),
  Phone: only("Phone"),
  SSN: only("SSN"),
  CreditCard: only("CreditCard"),
};
