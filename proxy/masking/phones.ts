/**
 * Telephone numbers among groups of digits: international, North American, and national in their usual notations. Pure.
 */
import { announcedAt } from "./announced-phones.ts";
import { isPossible } from "./calling-codes.ts";
import type { Candidate } from "./cards.ts";
import {
  BLANK,
  CLOSE,
  type DigitGroups,
  DOT,
  HYPHEN,
  isDigit,
  isWordCharacter,
  OPEN,
  PLUS,
  SLASH,
  UNJOINED,
} from "./digit-groups.ts";

/** E.164 allows fifteen digits; `(0)` doesn't count. */
const maxDigits = 15;
const minInternational = 7;
const minNational = 9;
const maxNational = 12;
const colon = 58;
const letterX = 120;

/** Whether a number may start here: not after a letter, a `+`, or a number that this one is part of. */
function beginsApart(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1);
  if (before === PLUS || isWordCharacter(before)) return false;
  const further = text.charCodeAt(start - 2);
  if (before === HYPHEN) return !isWordCharacter(further);
  return before === DOT || before === SLASH || before === colon ? !isDigit(further) : true;
}

/** The same check for what follows. An extension such as x123 is allowed. */
function endsApart(text: string, end: number): boolean {
  const next = text.charCodeAt(end);
  const further = text.charCodeAt(end + 1);
  if (isWordCharacter(next)) return next === letterX && isDigit(further);
  if (next === HYPHEN) return !isWordCharacter(further);
  return next === DOT || next === SLASH || next === colon ? !isDigit(further) : true;
}

/** Starts at the bracket before the number if the number contains the closing bracket. */
function withBracket({ text }: DigitGroups, start: number, end: number): number {
  if (text.charCodeAt(start - 1) !== OPEN) return start;
  for (let index = start; index < end && text.charCodeAt(index) !== OPEN; index++)
    if (text.charCodeAt(index) === CLOSE) return start - 1;
  return start;
}

/** `+44 (0)20`: a zero that is dialled only within the country. */
const isTrunkZero = (groups: DigitGroups, index: number): boolean =>
  groups.joined(index) &&
  groups.length(index) === 1 &&
  groups.digit(index) === 0 &&
  groups.opens(index) &&
  groups.closes(index);

type Span = Omit<Candidate, "start">;

/** Digits of a number after its prefix, group by group. */
class Dialled {
  readonly #first: number[] = [];
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(groups: DigitGroups, index: number, skip: number): void {
    const length = groups.length(index) - skip;
    for (let offset = 0; offset < length && this.#first.length < 3; offset++)
      this.#first.push(groups.digit(index, skip + offset));
    this.#total += length;
  }

  get possible(): boolean {
    const [first, second, third] = this.#first;
    return (
      first !== undefined &&
      second !== undefined &&
      third !== undefined &&
      isPossible(first, second, third, this.#total)
    );
  }
}

/** Whether a number continues with this group. If the group is on the next line, the number may already be complete. */
const goesOnTo = (groups: DigitGroups, index: number, over: boolean): boolean =>
  groups.joined(index) && !(over && groups.breaks(index));

/** The group that continues the number after `index`, skipping a zero in brackets; -1 if the number ends there. */
function nextOf(groups: DigitGroups, index: number, limit: number, over: boolean): number {
  let next = index + 1;
  if (groups.has(next) && isTrunkZero(groups, next)) next++;
  return next < limit && groups.has(next) && goesOnTo(groups, next, over) ? next : -1;
}

/** The longest number from here that may exist. With `strict`, returns nothing if no such number exists. */
function dialled(groups: DigitGroups, index: number, skip: number, strict: boolean): Span | null {
  const number = new Dialled();
  const limit = index + maxDigits;
  let possible: Span | null = null;
  let any: Span | null = null;
  for (let last = index; last >= 0; last = nextOf(groups, last, limit, possible !== null)) {
    number.add(groups, last, last === index ? skip : 0);
    if (number.total > maxDigits) break;
    const span = { end: groups.end(last), last };
    if (!mayEnd(groups.text, span.end)) continue;
    if (number.possible) possible = span;
    if (number.total >= minInternational && (last === index || !groups.breaks(last))) any = span;
  }
  return possible ?? (strict ? null : any);
}

/** Whether no letter follows, except that of an extension. */
const mayEnd = (text: string, end: number): boolean => !isWordCharacter(text.charCodeAt(end)) || endsApart(text, end);

/** Offset of the plus sign before the group, or -1. */
function plusBefore(groups: DigitGroups, index: number): number {
  const start = groups.start(index);
  const before = groups.opens(index) ? start - 2 : start - 1;
  return groups.text.charCodeAt(before) === PLUS ? before : -1;
}

/** A `+` and a number with its calling code. */
function internationalAt(groups: DigitGroups, index: number): Candidate | null {
  const { text } = groups;
  const plus = plusBefore(groups, index);
  if (plus < 0 || isWordCharacter(text.charCodeAt(plus - 1)) || text.charCodeAt(plus - 1) === PLUS) return null;
  const found = dialled(groups, index, 0, false);
  return found === null ? null : { ...found, start: withBracket(groups, plus, found.end) };
}

/** How many digits of the group are an international prefix: 00, or 011 from North America. */
function prefixLength(groups: DigitGroups, index: number): number {
  if (groups.digit(index) !== 0) return 0;
  const length = groups.length(index);
  if (length < 2) return 0;
  const second = groups.digit(index, 1);
  if (second === 0) return length > 2 && groups.digit(index, 2) === 0 ? 0 : 2;
  return second === 1 && length >= 3 && groups.digit(index, 2) === 1 ? 3 : 0;
}

/** Whether the group follows another one on the same line. */
const isWithin = (groups: DigitGroups, index: number): boolean => groups.joined(index) && !groups.breaks(index);

/** The same after 00 or 011. */
function prefixedAt(groups: DigitGroups, index: number): Candidate | null {
  const prefix = prefixLength(groups, index);
  if (prefix === 0 || isWithin(groups, index) || !beginsApart(groups.text, groups.start(index))) return null;
  const found = dialled(groups, index, prefix, true);
  if (found === null || !endsApart(groups.text, found.end)) return null;
  return { ...found, start: withBracket(groups, groups.start(index), found.end) };
}

const isLength = (groups: DigitGroups, index: number, length: number): boolean =>
  groups.has(index) && groups.length(index) === length;

/**
 * Separated only by blanks, groups of three, three and four digits are a number if North America could have assigned
 * it.
 */
function isNorthAmericanArea(groups: DigitGroups, area: number): boolean {
  const first = groups.digit(area);
  if (first === 0) return false;
  const onlyBlanks = groups.mark(area + 1) === BLANK && groups.mark(area + 2) === BLANK && !groups.bracketed(area + 1);
  if (!onlyBlanks) return true;
  return first > 1 && !(groups.breaks(area + 1) && groups.breaks(area + 2));
}

const joinsArea = (groups: DigitGroups, index: number): boolean =>
  groups.closes(index - 1) && groups.opens(index - 1)
    ? groups.mark(index) !== UNJOINED
    : groups.mark(index) > 0 && !groups.bracketed(index);

/** Groups of three, three and four digits, with or without a leading 1. */
function northAmericanAt(groups: DigitGroups, index: number): Candidate | null {
  const single = groups.length(index) === 1 && groups.digit(index) === 1 && isLength(groups, index + 1, 3);
  const area = single ? index + 1 : index;
  if (single && (!groups.joined(area) || groups.mark(area) === SLASH)) return null;
  if (!isLength(groups, area, 3) || !isLength(groups, area + 1, 3) || !isLength(groups, area + 2, 4)) return null;
  if (!joinsArea(groups, area + 1) || groups.mark(area + 2) <= 0 || groups.bracketed(area + 2)) return null;
  if (!isNorthAmericanArea(groups, area)) return null;
  const end = groups.end(area + 2);
  const bare = groups.start(index);
  const start = withBracket(groups, bare, end);
  return beginsApart(groups.text, start) && endsApart(groups.text, end) ? { start, end, last: area + 2 } : null;
}

/** A year in brackets belongs to a citation. */
function isYear(groups: DigitGroups, index: number): boolean {
  const century = groups.digit(index) * 10 + groups.digit(index, 1);
  return groups.length(index) === 4 && (century === 19 || century === 20);
}

/** An area code in brackets, or one with a leading zero and a mark after it. */
function isArea(groups: DigitGroups, index: number): boolean {
  const length = groups.length(index);
  if (groups.text.charCodeAt(groups.end(index)) === CLOSE && groups.opens(index))
    return length <= 5 && !isYear(groups, index);
  return length >= 2 && length <= (isWithin(groups, index) ? 5 : 6) && groups.digit(index) === 0;
}

const isSsnShape = (groups: DigitGroups, index: number): boolean =>
  groups.length(index) === 3 &&
  isLength(groups, index + 1, 2) &&
  isLength(groups, index + 2, 4) &&
  groups.mark(index + 1) !== SLASH &&
  groups.mark(index + 1) !== DOT;

/** Whether a group continues a number whose groups are joined by `mark`; 0 if the mark isn't known yet. */
function goesOn(groups: DigitGroups, index: number, mark: number): boolean {
  const joint = groups.mark(index);
  if (joint === UNJOINED || joint === 0 || groups.bracketed(index)) return false;
  // A line break may take the place of a mark.
  return groups.breaks(index) || mark === 0 || joint === mark;
}

const isInBrackets = (groups: DigitGroups, index: number): boolean => groups.opens(index) && groups.closes(index);

/** Where a national number begins and how many digits it has at least; null if none begins here. */
function nationalStart(groups: DigitGroups, index: number): { start: number; fewest: number } | null {
  if (!isArea(groups, index)) return null;
  const inBrackets = isInBrackets(groups, index);
  if (!inBrackets && isSsnShape(groups, index)) return null;
  const start = inBrackets ? groups.start(index) - 1 : groups.start(index);
  const fewest = inBrackets && groups.digit(index) !== 0 ? minNational - 1 : minNational;
  return beginsApart(groups.text, start) ? { start, fewest } : null;
}

/** Digits of a group within a national number. */
const isGroupLength = (length: number): boolean => length >= 2 && length <= 8;

/**
 * The number's mark once this group is part of it; UNJOINED if it isn't. `afterArea`: the area code was in brackets.
 */
function markWith(groups: DigitGroups, index: number, mark: number, afterArea: boolean): number {
  if (!isGroupLength(groups.length(index))) return UNJOINED;
  if (afterArea) return groups.joined(index) ? 0 : UNJOINED;
  if (!goesOn(groups, index, mark)) return UNJOINED;
  return groups.breaks(index) ? mark : groups.mark(index);
}

/** An area code and up to four groups of two or more digits, joined by the same mark. */
function nationalAt(groups: DigitGroups, index: number): Candidate | null {
  const begun = nationalStart(groups, index);
  if (begun === null) return null;
  // Twelve digits that follow others on the same line are usually part of something longer, such as a card number.
  const most = isWithin(groups, index) ? maxNational - 1 : maxNational;
  let mark = 0;
  let total = groups.length(index);
  let found: Candidate | null = null;
  for (let last = index + 1; last <= index + 4 && groups.has(last); last++) {
    mark = markWith(groups, last, mark, last === index + 1 && isInBrackets(groups, index));
    total += groups.length(last);
    if (mark === UNJOINED || total > most || (found !== null && groups.breaks(last))) break;
    const end = groups.end(last);
    if (total >= begun.fewest && endsApart(groups.text, end)) found = { start: begun.start, end, last };
  }
  return found;
}

const forms = [internationalAt, prefixedAt, northAmericanAt, nationalAt, announcedAt] as const;

/** The number that begins with this group. Of several, the one that starts first, then the longest. */
export function phoneAt(groups: DigitGroups, index: number): Candidate | null {
  // Rows of digits are the costliest text. All other forms begin a row, or after a sign that ends one.
  if (isWithin(groups, index)) {
    const national = groups.digit(index) === 0 || groups.opens(index) ? nationalAt(groups, index) : null;
    return earlier(northAmericanAt(groups, index), national);
  }
  let best: Candidate | null = null;
  for (const form of forms) best = earlier(best, form(groups, index));
  return best;
}

export function earlier<T extends Candidate>(first: T | null, other: T | null): T | null {
  if (first === null || other === null) return first ?? other;
  return other.start < first.start || (other.start === first.start && other.end > first.end) ? other : first;
}
