/**
 * Finds personal data in text. Every detector runs in time that grows with the text only: expressions have bounded
 * repeats over disjoint characters, e-mail addresses are found from their @ outwards. Pure.
 */

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

const isDigit = (code: number): boolean => code >= 48 && code <= 57;
const otherLetter = /[\p{L}\p{N}\p{M}]/u;
const isSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdfff;
const isLetter = (code: number): boolean =>
  (code >= 65 && code <= 90) ||
  (code >= 97 && code <= 122) ||
  (code > 127 && (isSurrogate(code) || otherLetter.test(String.fromCharCode(code))));
/** `.`, `_`, `%`, `+`, `-`, `'` and the others that RFC 5322 has in an unquoted local part and that occur. */
const localMarks = new Set([..."._%+-'!#$&*/=?^`{|}~"].map((mark) => mark.charCodeAt(0)));
const isLocal = (code: number): boolean => isDigit(code) || isLetter(code) || localMarks.has(code);
const isDomain = (code: number): boolean => isDigit(code) || isLetter(code) || code === 45 || code === 46;
const longestLocal = 64;
const longestDomain = 253;

/** Marks that are allowed in an address, and more often stand around one. */
const edge = /^[.'!#$&*/=?^`{|}~]+/;
/** `icon@2x.png` names a picture. */
const picture = /^\d+x\.[A-Za-z]+$/;

function emailAt(text: string, at: number, floor: number): Finding | null {
  let start = at;
  while (start > floor && at - start < longestLocal && isLocal(text.charCodeAt(start - 1))) start--;
  start += edge.exec(text.slice(start, at))?.[0].length ?? 0;
  let end = at + 1;
  while (end < text.length && end - at <= longestDomain && isDomain(text.charCodeAt(end))) end++;
  while (end > at + 1 && (text[end - 1] === "." || text[end - 1] === "-")) end--;
  const labels = text.slice(at + 1, end).split(".");
  const last = labels.at(-1) ?? "";
  if (
    start === at ||
    labels.length < 2 ||
    last.length < 2 ||
    labels.some((label) => label === "") ||
    !isLetter(last.charCodeAt(0))
  )
    return null;
  return picture.test(labels.join(".")) ? null : { start, end, type: "Email" };
}

function emails(text: string): Finding[] {
  const found: Finding[] = [];
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    const one = emailAt(text, at, found.at(-1)?.end ?? 0);
    if (one !== null) found.push(one);
  }
  return found;
}

const digitsOf = (text: string): string => text.replace(/\D/g, "");

function matches(
  text: string,
  expression: RegExp,
  type: string,
  accept: (match: RegExpExecArray) => [number, number] | null,
): Finding[] {
  const found: Finding[] = [];
  for (const match of text.matchAll(expression)) {
    const span = accept(match);
    if (span !== null) found.push({ start: match.index + span[0], end: match.index + span[1], type });
  }
  return found;
}
const whole = (match: RegExpExecArray): [number, number] => [0, match[0].length];

/** Area, group and serial as the SSA gives them out: no 000, 666 or 9xx, no 00, no 0000. */
const ssn = /(?<![\w-])(?!000|666|9)\d{3}([- ])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])/g;

/** Issuer's first digits and the lengths of its numbers. */
const brands: readonly [RegExp, readonly number[]][] = [
  [/^4/, [13, 16, 19]],
  [/^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^(6011|65|64[4-9]|62)/, [16, 17, 18, 19]],
  [/^35(2[89]|[3-8])/, [16, 17, 18, 19]],
  [/^3(0[0-5]|[689])/, [14, 15, 16, 17, 18, 19]],
  [/^(50|5[6-9]|6)/, [16, 18, 19]],
];

export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let at = 0; at < digits.length; at++) {
    const digit = digits.charCodeAt(digits.length - 1 - at) - 48;
    const doubled = at % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const isCard = (digits: string): boolean =>
  brands.some(([first, lengths]) => first.test(digits) && lengths.includes(digits.length)) && passesLuhn(digits);

const cardRun = /(?<![A-Za-z0-9])\d(?:[ -]?\d){12,30}(?![A-Za-z0-9])/g;
const groupStart = /(?:^|[ -])(?=\d)/g;

/** The first card within a run of digit groups: other numbers may stand before and behind it. */
function cardIn(run: string): [number, number] | null {
  for (const { index, 0: mark } of run.matchAll(groupStart)) {
    const start = index + mark.length;
    for (let end = Math.min(run.length, start + 38); end - start >= 13; end--) {
      if (isDigit(run.charCodeAt(end)) || !isDigit(run.charCodeAt(end - 1))) continue;
      if (isCard(digitsOf(run.slice(start, end)))) return [start, end];
    }
  }
  return null;
}

const separator = "[ .\\-/]";
/** `+` and up to fifteen digits (E.164), in groups or not, an area in brackets. */
const international = new RegExp(`(?<![\\w+])\\+\\d(?:${separator}?\\(?\\d|\\)${separator}?\\d){6,14}(?![\\w])`, "g");
/** Three, three and four digits, as in North America. */
const northAmerican =
  /(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([ .-]))[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)/g;
/** A zero, then groups of two and more with one kind of mark between them, nine to eleven digits in all. */
const national =
  /(?<![\w.+-]|\d:)(?:\(0\d{1,4}\) ?|0\d{1,4}(?=([ .\-/])))(?:(?:\1|[ -]|(?<=[) ]))\d{2,8}){1,4}(?![\w-]|[.:/]\d)/g;

/** Not the form of a social security number, which was refused as one. */
function isNational(text: string): boolean {
  if (/^\d{3}[ -]\d\d[ -]\d{4}$/.test(text)) return false;
  const count = digitsOf(text).length;
  const marks = new Set(text.replace(/^\(0\d+\) ?/, "").replace(/\d/g, ""));
  return count >= 9 && count <= 11 && marks.size <= 1;
}

/** A number of North America has ten digits behind its 1; what follows is another number. */
function internationalSpan(match: RegExpExecArray): [number, number] {
  const [text] = match;
  if (!text.startsWith("+1") || digitsOf(text).length <= 11) return whole(match);
  let digits = 0;
  for (let at = 0; at < text.length; at++) if (isDigit(text.charCodeAt(at)) && ++digits === 11) return [0, at + 1];
  return whole(match);
}

function phones(text: string): Finding[] {
  return settled([
    ...matches(text, international, "Phone", internationalSpan),
    ...matches(text, northAmerican, "Phone", whole),
    ...matches(text, national, "Phone", (match) => (isNational(match[0]) ? whole(match) : null)),
  ]);
}

export const detectors: Readonly<Record<DetectorName, Detector>> = {
  Email: emails,
  Phone: phones,
  SSN: (text) => matches(text, ssn, "SSN", whole),
  CreditCard: (text) => matches(text, cardRun, "CreditCard", (match) => cardIn(match[0])),
};

/** Texts without these hold none of the four: most need no further look. */
const worthALook = /[@\d]/;
export const mayHold = (text: string): boolean => worthALook.test(text);
