/** Finds credit card and social security numbers among groups of digits. Pure. */
import { BLANK, type DigitGroups, DOT, HYPHEN, isDigit, isWordCharacter, MIDDLE_DOT, SLASH } from "./digit-groups.ts";

/** A number that begins with a group: its position and its last group. */
export interface Candidate {
  start: number;
  end: number;
  last: number;
}

const maxCardLength = 19;
/** 4-4-4-4-3 has five groups; other ways to split a card number need few more. */
const maxCardGroups = 6;

/** First and last prefix as four digits, inclusive, and the lengths of the issuer's numbers. */
const brands: readonly (readonly [number, number, readonly number[]])[] = [
  [4000, 4999, [13, 16, 19]],
  [5100, 5599, [16]],
  [2221, 2720, [16]],
  [3400, 3499, [15]],
  [3700, 3799, [15]],
  [6011, 6011, [16, 17, 18, 19]],
  [6200, 6299, [16, 17, 18, 19]],
  [6440, 6599, [16, 17, 18, 19]],
  [3528, 3589, [16, 17, 18, 19]],
  [3000, 3059, [14, 15, 16, 17, 18, 19]],
  [3600, 3699, [14, 15, 16, 17, 18, 19]],
  [3800, 3999, [14, 15, 16, 17, 18, 19]],
  [5000, 5099, [16, 18, 19]],
  [5600, 5999, [16, 18, 19]],
  [6000, 6999, [16, 18, 19]],
];

/** First four digits → bit N is set if issuers have numbers of N digits with that prefix. */
const issued = new Uint32Array(10_000);
for (const [from, to, lengths] of brands)
  for (let first = from; first <= to; first++)
    for (const length of lengths) issued[first] = (issued[first] as number) | (1 << length);

/** Whether the digits of the groups pass Luhn's check (ISO/IEC 7812-1, annex B). Reads the text in place. */
export function passesLuhn(groups: DigitGroups, from: number, to: number): boolean {
  const { text } = groups;
  let sum = 0;
  let doubles = false;
  for (let index = to; index >= from; index--) {
    const start = groups.start(index);
    for (let offset = groups.end(index) - 1; offset >= start; offset--) {
      const digit = text.charCodeAt(offset) - 48;
      if (doubles) sum += digit > 4 ? digit * 2 - 9 : digit * 2;
      else sum += digit;
      doubles = !doubles;
    }
  }
  return sum % 10 === 0;
}

/** The digits of the groups, concatenated. */
function digitsOf(groups: DigitGroups, from: number, to: number): string {
  let digits = "";
  for (let index = from; index <= to; index++) digits += groups.text.slice(groups.start(index), groups.end(index));
  return digits;
}

const isLetter = (code: number): boolean => isWordCharacter(code) && !isDigit(code) && code !== 95;

/**
 * Single digits separated by blanks are a card only if nothing else is in the row. Otherwise they are a row of a table.
 */
function mayBeParted(groups: DigitGroups, from: number, to: number): boolean {
  if (to - from < maxCardGroups) return true;
  for (let index = from; index <= to; index++) if (groups.length(index) !== 1) return false;
  return !groups.joined(from) && !(groups.has(to + 1) && groups.joined(to + 1));
}

const joinsCard = (groups: DigitGroups, index: number): boolean => {
  const mark = groups.plainMark(index);
  return mark > 0 && mark !== SLASH;
};

/** How many groups to examine from here. Rows of single digits are examined only from their start. */
function cardReach(groups: DigitGroups, index: number): number {
  return groups.length(index) === 1 && !groups.joined(index) ? maxCardLength : maxCardGroups;
}

/** Lengths of card numbers that begin with the four digits found here, as bits. */
function lengthsFrom(groups: DigitGroups, index: number): number {
  let first = 0;
  let count = 0;
  for (let group = index; count < 4 && groups.has(group); group++)
    for (let offset = 0; offset < groups.length(group) && count < 4; offset++, count++)
      first = first * 10 + groups.digit(group, offset);
  return count < 4 ? 0 : (issued[first] as number);
}

const minCardLength = Math.min(...brands.flatMap(([, , lengths]) => lengths));

/** Whether these groups have too few digits for any card. Cheap, since rows of short numbers ask for each of them. */
function tooShort(groups: DigitGroups, from: number, to: number): boolean {
  let total = 0;
  for (let index = from; index < to && groups.has(index); index++) {
    total += groups.length(index);
    if (total >= minCardLength) return false;
  }
  return true;
}

function mayBegin(groups: DigitGroups, index: number, reach: number): boolean {
  const first = groups.digit(index);
  if (first < 2 || first > 6 || isLetter(groups.text.charCodeAt(groups.start(index) - 1))) return false;
  return groups.length(index) >= 3 || !tooShort(groups, index, reach);
}

/** Whether the groups, whose number of digits an issuer uses, are a card number. */
const isCard = (groups: DigitGroups, from: number, to: number): boolean =>
  !isLetter(groups.text.charCodeAt(groups.end(to))) && mayBeParted(groups, from, to) && passesLuhn(groups, from, to);

export function cardAt(groups: DigitGroups, index: number): Candidate | null {
  const reach = index + cardReach(groups, index);
  if (!mayBegin(groups, index, reach)) return null;
  let found = -1;
  let lengths = 0;
  let total = 0;
  for (let last = index; last < reach && groups.has(last); last++) {
    if (last > index && !joinsCard(groups, last)) break;
    total += groups.length(last);
    if (total > maxCardLength) break;
    if (total < minCardLength) continue;
    // Needed only now: most rows of digits are too short.
    lengths ||= lengthsFrom(groups, index);
    if ((lengths & (1 << total)) !== 0 && isCard(groups, index, last)) found = last;
  }
  return found < 0 ? null : { start: groups.start(index), end: groups.end(found), last: found };
}

const ssnMarks: ReadonlySet<number> = new Set([BLANK, HYPHEN, DOT, MIDDLE_DOT]);

/** After a hyphen that follows a word, or after a decimal point, digits are part of something else. */
function isApart(text: string, index: number): boolean {
  const before = text.charCodeAt(index - 1);
  if (before === HYPHEN) return !isWordCharacter(text.charCodeAt(index - 2));
  if (before === DOT || before === SLASH) return !isDigit(text.charCodeAt(index - 2));
  return !isWordCharacter(before);
}

/** The same check for what follows the number. */
function endsApart(text: string, index: number): boolean {
  const next = text.charCodeAt(index);
  if (next === HYPHEN) return !isWordCharacter(text.charCodeAt(index + 1));
  if (next === DOT) return !isDigit(text.charCodeAt(index + 1));
  return !isWordCharacter(next);
}

/** A line break takes the place of a mark. */
const isLineBreak = (groups: DigitGroups, index: number): boolean =>
  groups.mark(index) === BLANK && groups.breaks(index);

/** Groups of three, two and four digits, joined by the same mark. */
const isSsnShape = (groups: DigitGroups, index: number): boolean =>
  groups.length(index) === 3 &&
  groups.has(index + 2) &&
  groups.length(index + 1) === 2 &&
  groups.length(index + 2) === 4 &&
  ssnMarks.has(groups.mark(index + 1)) &&
  (groups.mark(index + 1) === groups.mark(index + 2) ||
    isLineBreak(groups, index + 1) ||
    isLineBreak(groups, index + 2)) &&
  !groups.bracketed(index + 1) &&
  !groups.bracketed(index + 2);

/**
 * Area, group and serial as the SSA assigns them: the area is not 000, 666 or 9xx, the group not 00, the serial not
 * 0000.
 */
function isGivenOut(digits: string): boolean {
  return !/^(000|666|9)/.test(digits) && !digits.startsWith("00", 3) && !digits.startsWith("0000", 5);
}

export function ssnAt(groups: DigitGroups, index: number): Candidate | null {
  if (!isSsnShape(groups, index) || !isGivenOut(digitsOf(groups, index, index + 2))) return null;
  const start = groups.start(index);
  const end = groups.end(index + 2);
  return isApart(groups.text, start) && endsApart(groups.text, end) ? { start, end, last: index + 2 } : null;
}
