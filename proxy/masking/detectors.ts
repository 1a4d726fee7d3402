/**
 * Finds personal data in text as a person reads it (fold.ts), from left to right. Each character is looked at a bounded
 * number of times, whatever the text: e-mail addresses are found from their @ outwards, numbers from each group of
 * digits over the few groups that one may have. Pure.
 */
import { type Candidate, cardAt, ssnAt } from "./cards.ts";
import { DigitGroups } from "./digit-groups.ts";
import { Emails } from "./emails.ts";
import { type Folded, fold } from "./fold.ts";
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
    if (candidate !== null) best = earlier(best, { ...candidate, type });
  }
  return best;
}

/** The finds of a folded text that begin at `from` or behind it, with their places in it. */
function* findsIn(text: string, from: number, wanted: ReadonlySet<DetectorName>): Generator<Finding> {
  const types = numberTypes.filter(([type]) => wanted.has(type));
  const groups = new DigitGroups(text);
  const emails = wanted.has("Email") ? new Emails(text, from) : null;
  let floor = from;
  for (let index = 0; types.length > 0 && groups.has(index); index++) {
    if (groups.start(index) < floor) continue;
    const number = numberAt(groups, index, types);
    if (number === null || number.start < floor) continue;
    for (; emails !== null && isBefore(emails, number); emails.from(floor)) {
      yield { start: emails.start, end: emails.end, type: "Email" };
      floor = emails.end;
      if (floor > number.start) break;
    }
    if (floor > number.start) {
      emails?.from(floor);
      continue;
    }
    yield number;
    floor = number.end;
    index = number.last;
    emails?.from(floor);
  }
  for (; emails !== null && !emails.done; emails.from(floor)) {
    yield { start: emails.start, end: emails.end, type: "Email" };
    floor = emails.end;
  }
}

const isBefore = (emails: Emails, number: Typed): boolean =>
  !emails.done && (emails.start < number.start || (emails.start === number.start && emails.end >= number.end));

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

/** What is found that begins at `from` or behind it; what stands before is there to tell whether something begins. */
export function findAll(text: string, wanted: ReadonlySet<DetectorName>, from = 0): Finding[] {
  const found: Finding[] = [];
  let floor = from;
  for (let begin = from; begin < text.length; begin += blockLength) {
    const low = Math.max(0, begin - context);
    const high = begin + blockLength + reach;
    const block = low === 0 && high >= text.length ? text : text.slice(low, high);
    if (floor >= begin + blockLength || !mayHold(block)) continue;
    const folded = fold(block);
    for (const { start, end, type } of findsIn(folded.text, foldedOffset(folded, Math.max(floor, begin) - low), wanted)) {
      const at = low + (folded.from === null ? start : (folded.from[start] as number));
      if (at >= begin + blockLength) break;
      floor = low + (folded.to === null ? end : (folded.to[end - 1] as number));
      found.push({ start: at, end: floor, type });
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
