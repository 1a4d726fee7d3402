/**
 * Digits that stand for plain ones in another form: raised, lowered, in circles and brackets, with a full stop, and
 * numbers up to 80 in a single such character. They are read as digits unless they mark a footnote (fold.ts). Letters in
 * such forms are read in any case. Pure.
 */

/** First and last of forms without a decomposition in Unicode, and the plain character of the first. */
const ranges: readonly (readonly [first: number, last: number, plain: number])[] = [
  // In black circles, with serifs and without, and in double circles: 1 to 9, then 0.
  [0x2776, 0x277e, 49],
  [0x2780, 0x2788, 49],
  [0x278a, 0x2792, 49],
  [0x24f5, 0x24fd, 49],
  [0x24ff, 0x24ff, 48],
  [0x1f10b, 0x1f10b, 48],
  [0x1f10c, 0x1f10c, 48],
  // White on black, in circles and in squares: A to Z.
  [0x1f150, 0x1f169, 65],
  [0x1f170, 0x1f189, 65],
];

/** The same for numbers of two digits: the number of the first, and the step from one to the next. */
const numbers: readonly (readonly [first: number, last: number, number: number, step: number])[] = [
  [0x277f, 0x277f, 10, 1],
  [0x2789, 0x2789, 10, 1],
  [0x2793, 0x2793, 10, 1],
  [0x24eb, 0x24f4, 11, 1],
  [0x24fe, 0x24fe, 10, 1],
  [0x3248, 0x324f, 10, 10],
];

const decimal = /\p{Nd}/u;
const plainSign = /^[\x21-\x7e]$/;
/** "(1)", "1." and "1,", also with two digits. */
const wrapped = /^\(?([0-9A-Za-z]|[1-9][0-9])[).,]?$/;
const minus = "\u2212";

/** The plain ASCII character, or the number of two digits, that a person reads; null if there is none. */
export function plainForm(code: number): string | null {
  for (const [first, last, plain] of ranges)
    if (code >= first && code <= last) return String.fromCharCode(plain + code - first);
  for (const [first, last, number, step] of numbers)
    if (code >= first && code <= last) return String(number + step * (code - first));
  const text = String.fromCodePoint(code).normalize("NFKC");
  if (text === minus && code !== 0x2212) return "-";
  return plainSign.test(text) ? text : (wrapped.exec(text)?.[1] ?? null);
}

/** Whether it may be the mark of a footnote: a digit in such a form, or a raised or lowered sign between digits. */
export function mayBeMark(code: number, plain: string): boolean {
  if (code >= 0x2070 && code <= 0x209f) return !/[A-Za-z]/.test(plain);
  return /[0-9]/.test(plain) && !decimal.test(String.fromCodePoint(code));
}

/** Latin letters that are joined in one character, such as those of "fi". */
export const isLigature = (code: number): boolean => code >= 0xfb00 && code <= 0xfb06;
export const lettersOf = (ligature: number): string => String.fromCharCode(ligature).normalize("NFKC");
/** The most characters that one is read as. */
const maxLetters = 3;

/** At least as many characters as a text is read as in addition to its own, because some are read as several. */
export function joinedLength(text: string): number {
  let count = 0;
  for (joinedForms.lastIndex = 0; joinedForms.test(text); ) count++;
  return count * (maxLetters - 1);
}
const joinedForms =
  /[\ufb00-\ufb06\u2469-\u2473\u247d-\u2487\u2491-\u249b\u24eb-\u24f4\u24fe\u277f\u2789\u2793\u3248-\u324f\u3251-\u325f\u32b1-\u32bf]/g;

/** Characters of such forms, for a look at whether a text has digits. */
export const digitForms =
  "\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u2080-\u2089\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3248-\u324f\u3251-\u325f\u32b1-\u32bf\u{1f100}-\u{1f10c}";
