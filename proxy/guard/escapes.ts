/**
 * URL and HTML escapes at a place in a text, also escapes of escapes: `%40`, `%2540`, `%EF%BC%A0`, `&#64;`, `&#x40;`,
 * `&commat;`, `&amp;#64;`. Reads a bounded number of characters. Pure.
 */

export interface Escape {
  /** The character that it stands for; -1 if it may still become an escape beyond the end of the text. */
  code: number;
  end: number;
}

const PERCENT = 37;
const AMPERSAND = 38;
const HASH = 35;
const SEMICOLON = 59;

/** How often an escape may itself be escaped. */
const maxNested = 8;

/** What hides in addresses and numbers: https://html.spec.whatwg.org/multipage/named-characters.html */
const names: ReadonlyMap<string, number> = new Map([
  ...([
    ["commat", 64],
    ["period", 46],
    ["plus", 43],
    ["lpar", 40],
    ["rpar", 41],
    ["sol", 47],
    ["lowbar", 95],
  ] as const),
  ...([
    ["nbsp", 0xa0],
    ["ensp", 0x2002],
    ["emsp", 0x2003],
    ["thinsp", 0x2009],
    ["hairsp", 0x200a],
  ] as const),
  ...([
    ["numsp", 0x2007],
    ["Tab", 9],
    ["NewLine", 10],
    ["hyphen", 0x2010],
    ["dash", 0x2010],
  ] as const),
  ...([
    ["ndash", 0x2013],
    ["minus", 0x2212],
    ["middot", 0xb7],
    ["shy", 0xad],
    ["zwj", 0x200d],
  ] as const),
  ...([
    ["zwnj", 0x200c],
    ["lrm", 0x200e],
    ["rlm", 0x200f],
    ["ZeroWidthSpace", 0x200b],
    ["NoBreak", 0x2060],
  ] as const),
]);
const maxNameLength = Math.max(...[...names.keys()].map(({ length }) => length));
/** Digits of a number that a character can have, with leading zeros. */
const maxDigits = 8;
const lastCode = 0x10ffff;

const pending = (text: string): Escape => ({ code: -1, end: text.length });

/** The value of a hexadecimal digit, or -1. */
function hexValue(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const letter = code | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

const isHexAt = (text: string, start: number): boolean => hexValue(text.charCodeAt(start)) >= 0;

/** Where the digits begin of an escape that is itself escaped; null if the text may go on with more. */
function digitsAt(text: string, percent: number): number | null {
  let start = percent + 1;
  for (let nested = 0; nested < maxNested && text.startsWith("25", start); nested++) {
    const next = start + 2;
    if (next === text.length || (next + 1 === text.length && isHexAt(text, next))) return null;
    if (!isHexAt(text, next) || !isHexAt(text, next + 1)) break;
    start = next;
  }
  return start;
}

/** The byte that `%XX` stands for, itself perhaps escaped. */
function byteAt(text: string, percent: number): Escape | null {
  if (text.charCodeAt(percent) !== PERCENT) return percent >= text.length ? pending(text) : null;
  const start = digitsAt(text, percent);
  if (start === null) return pending(text);
  for (let digit = start; digit < start + 2; digit++)
    if (!isHexAt(text, digit)) return digit >= text.length ? pending(text) : null;
  return { code: hexValue(text.charCodeAt(start)) * 16 + hexValue(text.charCodeAt(start + 1)), end: start + 2 };
}

/** How many bytes follow the first one of a character in UTF-8; -1 if none begins with it. */
function following(first: number): number {
  if (first < 0x80) return 0;
  if (first < 0xc2 || first > 0xf4) return -1;
  return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

function urlEscape(text: string, percent: number): Escape | null {
  // Most percent signs begin no escape.
  if (percent + 2 < text.length && !(isHexAt(text, percent + 1) && isHexAt(text, percent + 2))) return null;
  const first = byteAt(text, percent);
  if (first === null || first.code < 0) return first;
  const more = following(first.code);
  if (more <= 0) return more === 0 ? first : null;
  let { code, end } = first;
  code &= 0x3f >> more;
  for (let count = 0; count < more; count++) {
    const next = byteAt(text, end);
    if (next === null || next.code < 0) return next;
    if (next.code >> 6 !== 2) return null;
    code = (code << 6) | (next.code & 0x3f);
    end = next.end;
  }
  return { code, end };
}

const isNameCharacter = (code: number): boolean => (code >= 65 && code <= 90) || (code >= 97 && code <= 122);

/** What stands between `&` and `;`; the end of the text if there is no `;` yet. */
function wordEnd(text: string, start: number, most: number, isPart: (code: number) => boolean): number {
  let end = start;
  while (end - start <= most && isPart(text.charCodeAt(end))) end++;
  return end;
}

function numbered(text: string, hash: number): Escape | null {
  const isHex = (text.charCodeAt(hash + 1) | 32) === 120;
  const start = isHex ? hash + 2 : hash + 1;
  const end = wordEnd(text, start, maxDigits, (code) => (isHex ? hexValue(code) >= 0 : code >= 48 && code <= 57));
  if (end >= text.length) return pending(text);
  if (end === start || text.charCodeAt(end) !== SEMICOLON) return null;
  const code = Number.parseInt(text.slice(start, end), isHex ? 16 : 10);
  return code <= lastCode ? { code, end: end + 1 } : null;
}

function htmlEscape(text: string, ampersand: number): Escape | null {
  let start = ampersand + 1;
  for (let nested = 0; nested < maxNested && text.startsWith("amp;", start); nested++) start += 4;
  if (text.charCodeAt(start) === HASH) return numbered(text, start);
  const end = wordEnd(text, start, maxNameLength, isNameCharacter);
  if (end >= text.length) return pending(text);
  const code = text.charCodeAt(end) === SEMICOLON ? names.get(text.slice(start, end)) : undefined;
  return code === undefined ? null : { code, end: end + 1 };
}

/** Whether a text may have such escapes: most have none. */
export const mayEscape = /%(?:[0-9A-Fa-f]{2}|[0-9A-Fa-f]?$)|&(?:#|[A-Za-z]{2,14};|[A-Za-z]{0,14}$)/;

/** null if there is no escape at this place, where `code` stands. */
export function escapeAt(text: string, start: number, code: number): Escape | null {
  if (code === PERCENT) return urlEscape(text, start);
  return code === AMPERSAND ? htmlEscape(text, start) : null;
}
