/** Single characters as a person reads them. Pure. */

import { isLigature, mayBeMark, plainForm } from "./compatible.ts";

export const SPACE = 32;
export const LINE_END = 10;

/** Invisible. */
export const DROP = 0xffff;
/** Not folded. */
export const SAME = 0xfffe;
/** A digit, or the mark of a footnote. */
export const MARK = 0xfdd0;
/** Several letters in one character, as in texts copied from a PDF. */
export const LIGATURE = 0xfdd1;

const decimal = /\p{Nd}/u;
const format = /\p{Cf}/u;
/** Joiners and fillers that are invisible, in addition to those of category Cf, and strokes and frames around a character. */
const fillers: ReadonlySet<number> = new Set([
  ...[0x34f, 0x115f, 0x1160, 0x3164, 0xffa0],
  ...[0x305, 0x332, 0x333, 0x334, 0x335, 0x336, 0x337, 0x338],
  ...[0x20dd, 0x20de, 0x20df, 0x20e0, 0x20e2, 0x20e3, 0x20e4],
]);
const isInvisible = (code: number): boolean =>
  fillers.has(code) ||
  (code >= 0xfe00 && code <= 0xfe0f) ||
  (code >= 0xe0100 && code <= 0xe01ef) ||
  format.test(String.fromCodePoint(code));
/** Dashes that join digits. An em dash separates sentences and is kept. */
const joiners = /[\u2010-\u2013\u2043\u2212\ufe58\ufe63\uff0d]/;
const blankLike = /[\p{Zs}\t\v\f]/u;
const lineLike = /[\n\r\u0085\u2028\u2029]/;

/** Unicode digits come in blocks of ten, starting at zero. */
function digitValue(code: number): number {
  let value = 0;
  while (decimal.test(String.fromCodePoint(code - 1 - value))) value++;
  return value % 10;
}

function foldCode(code: number): number {
  const character = String.fromCodePoint(code);
  if (lineLike.test(character)) return LINE_END;
  if (blankLike.test(character)) return SPACE;
  if (code < 128) return code < 32 ? SAME : code;
  if (decimal.test(character)) return 48 + digitValue(code);
  if (isInvisible(code)) return DROP;
  if (joiners.test(character)) return 45;
  if (isLigature(code)) return LIGATURE;
  const plain = plainForm(code);
  if (plain === null) return SAME;
  return mayBeMark(code, plain) ? MARK : plain.charCodeAt(0);
}

/**
 * Filled on demand, 0 if not computed yet. One table for the basic plane and one for the next, which has the
 * mathematical digits.
 */
const tables = [new Uint16Array(65_536), new Uint16Array(65_536)] as const;

/** A character as it is read: a plain one, or one of the values above. */
export function folded(code: number): number {
  const table = code < 65_536 ? tables[0] : code < 131_072 ? tables[1] : null;
  if (table === null) {
    // Models read these copies of ASCII, which no person sees.
    if (code >= 0xe0020 && code <= 0xe007e) return foldCode(code - 0xe0000);
    return isInvisible(code) ? DROP : SAME;
  }
  const index = code & 0xffff;
  const known = table[index] as number;
  if (known !== 0) return known;
  return (table[index] = code >= 0xd800 && code < 0xe000 ? SAME : foldCode(code));
}

/** What an escape is read as. Characters beyond the basic plane that aren't folded need no reading. */
export function readCode(code: number): number {
  const fold = folded(code);
  return fold === SAME && code < 65_536 ? code : fold;
}

/** What marks that occurred are read as. */
const marks = new Map<number, string>();

/** The digit of what may mark a footnote, or its two digits. */
export function digitsOfMark(mark: number): string {
  const cached = marks.get(mark);
  if (cached !== undefined) return cached;
  const plain = plainForm(mark) as string;
  marks.set(mark, plain);
  return plain;
}
