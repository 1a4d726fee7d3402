/**
 * Finds personal data in text as a person reads it (fold.ts), from left to right. Examines each character a bounded
 * number of times, whatever the text: e-mail addresses are found outwards from their @, and numbers from each group of
 * digits over the few groups that one number may have. Pure.
 */

import { digitForms } from "../guard/compatible.ts";
import { type Folded, fold } from "../guard/fold.ts";
import { type Candidate, cardAt, ssnAt } from "./cards.ts";
import { DigitGroups } from "./digit-groups.ts";
import { Emails } from "./emails.ts";
import { earlier, phoneAt } from "./phones.ts";

export const detectorNames = ["Email", "Phone", "SSN", "CreditCard"] as const;
export type DetectorName = (typeof detectorNames)[number];

export interface Finding {
  start: number;
  end: number;
  type: string;
}

/** Finds matches in the order of the text. They never overlap. */
type Detector = (text: string) => Finding[];

/** Earlier matches come first; of those that start together, the longest. Drops matches that overlap an earlier one. */
export function settled(findings: Finding[]): Finding[] {
  findings.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Finding[] = [];
  for (const finding of findings)
    if (finding.end > finding.start && finding.start >= (kept.at(-1)?.end ?? 0)) kept.push(finding);
  return kept;
}

/** Texts without any of these characters can't match any detector. Most texts need no further work. */
const worthALook = /[@\d]|&commat;/;
const worthALookFolded = new RegExp(`[@\\d\\uff20\\ufe6b\\p{Nd}\\u{e0030}-\\u{e0040}${digitForms}]`, "u");
const ascii = /^[\0-\x7f]*$/;
export const mayHold = (text: string): boolean =>
  worthALook.test(text) || (!ascii.test(text) && worthALookFolded.test(text));

/** Texts are examined in blocks, so that the memory used doesn't grow with the text. */
export const blockLength = 16_384;
/** Context before a block, needed to decide whether a number begins there. */
const context = 64;
/** The longest match, plus its right context. */
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

/** The fewest digits of any number. */
const minDigits = 6;

/** Whether a few digits stand alone: no number can begin with them. Cheap, since some texts have nothing else. */
const isTooFew = (groups: DigitGroups, index: number): boolean =>
  groups.length(index) < minDigits && !(groups.has(index + 1) && groups.joined(index + 1));

function numberAt(groups: DigitGroups, index: number, types: Numbers): Typed | null {
  let best: Typed | null = null;
  for (const [type, numberIn] of types) {
    const candidate = numberIn(groups, index);
    if (candidate !== null)
      best = earlier(best, { start: candidate.start, end: candidate.end, last: candidate.last, type });
  }
  return best;
}

/** Finds matches in a folded text from left to right. Skips over each match, whatever its kind. */
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

  /** All matches that begin at or after `from`. */
  run(): readonly Finding[] {
    if (this.#types.length > 0) for (let index = 0; this.#groups.has(index); index++) index = this.#group(index);
    this.#emailsBefore(null);
    return this.found;
  }

  /** Index of the last group already handled. */
  #group(index: number): number {
    if (this.#groups.start(index) < this.#floor || isTooFew(this.#groups, index)) return index;
    const number = numberAt(this.#groups, index, this.#types);
    if (number === null || number.start < this.#floor) return index;
    this.#emailsBefore(number);
    if (this.#floor > number.start) return index;
    this.#add(number);
    return number.last;
  }

  /** Addresses that begin before the number, or with it and are longer. null: all that remain. */
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

/** Offset in the folded text of the character at or after `index` in the original. */
export function foldedOffset({ text, from }: Folded, index: number): number {
  if (from === null) return index;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((from[middle] as number) < index) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Matches of one block that begin in it, after `floor`. Positions refer to the whole text. `whole`: of the whole text. */
function* findsInBlock(
  text: string,
  begin: number,
  floor: number,
  wanted: ReadonlySet<DetectorName>,
  whole: Folded | null,
): Generator<Finding> {
  const low = Math.max(0, begin - context);
  const high = begin + blockLength + reach;
  const block = low === 0 && high >= text.length ? text : text.slice(low, high);
  if (!mayHold(block)) return;
  const folded = block === text && whole !== null ? whole : fold(block);
  const from = foldedOffset(folded, Math.max(floor, begin) - low);
  let before = 0;
  for (const { start, end, type } of new Finds(folded.text, from, wanted).run()) {
    // One character may be the last digit of a match and the first of the next.
    const first = Math.max(before, low + (folded.from === null ? start : (folded.from[start] as number)));
    if (first >= begin + blockLength) return;
    before = low + (folded.to === null ? end : (folded.to[end - 1] as number));
    if (before > first) yield { start: first, end: before, type };
  }
}

/**
 * Matches that begin at or after `from`. The text before it serves as context to decide whether a match begins.
 * `whole`: the folded text, if the caller has it.
 */
export function findAll(
  text: string,
  wanted: ReadonlySet<DetectorName>,
  from = 0,
  whole: Folded | null = null,
): Finding[] {
  const findings: Finding[] = [];
  let floor = from;
  for (let begin = from; begin < text.length; begin += blockLength) {
    if (floor >= begin + blockLength) continue;
    for (const finding of findsInBlock(text, begin, floor, wanted, whole)) {
      findings.push(finding);
      floor = finding.end;
    }
  }
  return findings;
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
