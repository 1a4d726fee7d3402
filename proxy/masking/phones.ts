/** Telephone numbers among groups of digits: international, North American, and national ones as they are written. Pure. */
import { isPossible } from "./calling-codes.ts";
import type { Candidate } from "./cards.ts";
import {
  BLANK,
  CLOSE,
  type DigitGroups,
  DOT,
  HYPHEN,
  isDigit,
  isWord,
  OPEN,
  PLUS,
  SLASH,
  UNJOINED,
} from "./digit-groups.ts";

/** E.164 allows fifteen digits; `(0)` is not counted. */
const mostDigits = 15;
const fewestInternational = 7;
const fewestNational = 9;
const mostNational = 11;
const colon = 58;
const letterX = 120;

/** What stands before a number: no letter, no `+`, and no number that this one is a part of. */
function beginsApart(text: string, start: number): boolean {
  const before = text.charCodeAt(start - 1);
  if (before === PLUS || isWord(before)) return false;
  const further = text.charCodeAt(start - 2);
  if (before === HYPHEN) return !isWord(further);
  return before === DOT || before === SLASH || before === colon ? !isDigit(further) : true;
}

/** The same of what follows. An extension, x123, may. */
function endsApart(text: string, end: number): boolean {
  const next = text.charCodeAt(end);
  const further = text.charCodeAt(end + 1);
  if (isWord(next)) return next === letterX && isDigit(further);
  if (next === HYPHEN) return !isWord(further);
  return next === DOT || next === SLASH || next === colon ? !isDigit(further) : true;
}

/** From the bracket before the number on, where that is closed in it. */
function withBracket({ text }: DigitGroups, start: number, end: number): number {
  if (text.charCodeAt(start - 1) !== OPEN) return start;
  for (let at = start; at < end && text.charCodeAt(at) !== OPEN; at++)
    if (text.charCodeAt(at) === CLOSE) return start - 1;
  return start;
}

/** `+44 (0)20`: a zero that is dialled within the country only. */
const isTrunkZero = (groups: DigitGroups, index: number): boolean =>
  groups.length(index) === 1 && groups.digit(index) === 0 && groups.opens(index) && groups.closes(index);

/** The longest number from here on that may exist; `strict`: else none. */
function dialled(groups: DigitGroups, index: number, skip: number, strict: boolean): Omit<Candidate, "start"> | null {
  const first: number[] = [];
  let total = 0;
  let possible: Omit<Candidate, "start"> | null = null;
  let any: Omit<Candidate, "start"> | null = null;
  for (let last = index; last < index + mostDigits && groups.has(last); last++) {
    if (last > index && (!groups.joined(last) || (groups.breaks(last) && possible !== null))) break;
    if (last > index && isTrunkZero(groups, last)) continue;
    const from = last === index ? skip : 0;
    const length = groups.length(last) - from;
    for (let at = 0; at < length && first.length < 3; at++) first.push(groups.digit(last, from + at));
    total += length;
    if (total > mostDigits) break;
    const end = groups.end(last);
    if (isWord(groups.text.charCodeAt(end)) && !endsApart(groups.text, end)) continue;
    if (first.length === 3 && isPossible(first[0] as number, first[1] as number, first[2] as number, total))
      possible = { end, last };
    if (total >= fewestInternational && !groups.breaks(last)) any = { end, last };
  }
  return possible ?? (strict ? null : any);
}

/** Offset of the plus sign that the group stands behind, or -1. */
function plusBefore(groups: DigitGroups, index: number): number {
  const start = groups.start(index);
  const before = groups.opens(index) ? start - 2 : start - 1;
  return groups.text.charCodeAt(before) === PLUS ? before : -1;
}

/** `+` and a number with its calling code. */
function internationalAt(groups: DigitGroups, index: number): Candidate | null {
  const plus = plusBefore(groups, index);
  const { text } = groups;
  if (plus < 0 || isWord(text.charCodeAt(plus - 1)) || text.charCodeAt(plus - 1) === PLUS) return null;
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

/** The same behind 00 or 011. */
function prefixedAt(groups: DigitGroups, index: number): Candidate | null {
  const prefix = prefixLength(groups, index);
  if (prefix === 0 || !beginsApart(groups.text, groups.start(index))) return null;
  const found = dialled(groups, index, prefix, true);
  if (found === null || !endsApart(groups.text, found.end)) return null;
  return { ...found, start: withBracket(groups, groups.start(index), found.end) };
}

const isLength = (groups: DigitGroups, index: number, length: number): boolean =>
  groups.has(index) && groups.length(index) === length;

/** Between blanks alone three, three and four digits are a number where they could be one of North America. */
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

/** Three, three and four digits, behind a 1 or not. */
function northAmericanAt(groups: DigitGroups, index: number): Candidate | null {
  const one = groups.length(index) === 1 && groups.digit(index) === 1 && isLength(groups, index + 1, 3);
  const area = one ? index + 1 : index;
  if (one && (!groups.joined(area) || groups.mark(area) === SLASH)) return null;
  if (!isLength(groups, area, 3) || !isLength(groups, area + 1, 3) || !isLength(groups, area + 2, 4)) return null;
  if (!joinsArea(groups, area + 1) || groups.mark(area + 2) <= 0 || groups.bracketed(area + 2)) return null;
  if (!isNorthAmericanArea(groups, area)) return null;
  const end = groups.end(area + 2);
  const bare = groups.start(index);
  const start = withBracket(groups, bare, end);
  return beginsApart(groups.text, start) && endsApart(groups.text, end) ? { start, end, last: area + 2 } : null;
}

/** A year in brackets is one of a citation. */
function isYear(groups: DigitGroups, index: number): boolean {
  const century = groups.digit(index) * 10 + groups.digit(index, 1);
  return groups.length(index) === 4 && (century === 19 || century === 20);
}

/** An area in brackets, or one with a leading zero and a mark behind it. */
function isArea(groups: DigitGroups, index: number): boolean {
  const length = groups.length(index);
  if (groups.text.charCodeAt(groups.end(index)) === CLOSE && groups.opens(index))
    return length <= 5 && !isYear(groups, index);
  return length >= 2 && length <= 5 && groups.digit(index) === 0;
}

const isSsnShape = (groups: DigitGroups, index: number): boolean =>
  groups.length(index) === 3 &&
  isLength(groups, index + 1, 2) &&
  isLength(groups, index + 2, 4) &&
  groups.mark(index + 1) !== SLASH &&
  groups.mark(index + 1) !== DOT;

/** An area and up to four groups of two and more digits with one kind of mark between them. */
function nationalAt(groups: DigitGroups, index: number): Candidate | null {
  if (!isArea(groups, index)) return null;
  const inBrackets = groups.opens(index) && groups.closes(index);
  const fewest = inBrackets && groups.digit(index) !== 0 ? fewestNational - 1 : fewestNational;
  if (!inBrackets && isSsnShape(groups, index)) return null;
  const start = inBrackets ? groups.start(index) - 1 : groups.start(index);
  if (!beginsApart(groups.text, start)) return null;
  let mark = 0;
  let total = groups.length(index);
  let found: Candidate | null = null;
  for (let last = index + 1; last <= index + 4 && groups.has(last); last++) {
    const joint = groups.mark(last);
    const behindArea = inBrackets && last === index + 1;
    if (joint === UNJOINED || (joint === 0 && !behindArea) || (groups.bracketed(last) && !behindArea)) break;
    if (!behindArea && mark !== 0 && joint !== mark) break;
    if (groups.breaks(last) && found !== null) break;
    if (!behindArea) mark = joint;
    const length = groups.length(last);
    total += length;
    if (length < 2 || length > 8 || total > mostNational) break;
    if (total >= fewest && endsApart(groups.text, groups.end(last))) found = { start, end: groups.end(last), last };
  }
  return found;
}

const forms = [internationalAt, prefixedAt, northAmericanAt, nationalAt] as const;

/** The number that begins with this group: of several the one that begins first, then the longest. */
export function phoneAt(groups: DigitGroups, index: number): Candidate | null {
  let best: Candidate | null = null;
  for (const form of forms) best = earlier(best, form(groups, index));
  return best;
}

export function earlier<T extends Candidate>(one: T | null, other: T | null): T | null {
  if (one === null || other === null) return one ?? other;
  return other.start < one.start || (other.start === one.start && other.end > one.end) ? other : one;
}
