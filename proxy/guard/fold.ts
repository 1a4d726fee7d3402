/**
 * Text as a person reads it: full-width and Arabic digits become 0 to 9, every kind of blank becomes one blank,
 * invisible characters are removed, hyphens and dashes that join numbers become `-`, and JSON, URL and HTML escapes
 * become the characters they encode. Letters, digits and numbers in circles, brackets and other forms become plain ones,
 * and ligatures their letters. Each folded character keeps its position in the original. One pass, linear in the text. Pure.
 */

import { DROP, digitsOfMark, folded, LIGATURE, LINE_END, MARK, readCode, SAME, SPACE } from "./characters.ts";
import { joinedLength, lettersOf } from "./compatible.ts";
import { escapeAt, mayEscape } from "./escapes.ts";

export interface Folded {
  text: string;
  /** Start and end in the original of each folded character; null if they are the same as in `text`. */
  from: Uint32Array | null;
  to: Uint32Array | null;
}

/** Replaces a gap too wide to occur within one number: several line breaks, or columns of blanks. */
export const BREAK = 0x1f;
/** Marks the start of an escape at the end of the text, which a stream may still complete. */
export const PENDING = 0x1e;

const BACKSLASH = 92;
const PERCENT = 37;
const AMPERSAND = 38;

/** Most digits of a footnote's mark. */
const maxMark = 2;
const maxBlanks = 3;
const maxIndent = 8;
/** JSON within JSON within JSON has seven backslashes before an escape. */
const maxBackslashes = 8;

const unusual = new RegExp(`[^ -~]| {2}|\\\\|${mayEscape.source}`);
const isHex = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 65 && code <= 70) || (code >= 97 && code <= 102);
const escapes: Readonly<Record<string, number>> = { n: LINE_END, r: LINE_END, t: SPACE, "/": 47 };

/** One blank or line break for a run of them, unless the run separates what surrounds it. */
function gapOf(blanks: number, lines: number): number {
  if (lines > 1 || blanks > (lines === 1 ? maxIndent : maxBlanks)) return BREAK;
  return lines === 1 ? LINE_END : SPACE;
}

const isDigit = (code: number): boolean => code >= 48 && code <= 57;

/** Whether a footnote may follow: a letter, a digit, or what ends a sentence or a part of it. */
const mayHaveNote = (code: number): boolean => code > 126 || noted.test(String.fromCharCode(code));
const noted = /[0-9A-Za-z.,;:!?"')\]]/;

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code < 0xdc00;

class Folding {
  readonly #text: string;
  readonly #codes: Uint16Array;
  readonly #from: Uint32Array;
  readonly #to: Uint32Array;
  #length = 0;
  /** About the character that was read last. */
  #code = 0;
  #end = 0;
  /** The character itself where `#code` is MARK. */
  #source = 0;
  /** Length after the last mark that was read as a digit. */
  #digitEnd = -2;

  constructor(text: string) {
    this.#text = text;
    const room = text.length + joinedLength(text);
    this.#codes = new Uint16Array(room);
    this.#from = new Uint32Array(room);
    this.#to = new Uint32Array(room);
  }

  run(): Folded {
    const text = this.#text;
    for (let index = 0; index < text.length; ) {
      this.#read(index);
      if (this.#code === DROP) index = this.#drop();
      else if (this.#isGap()) index = this.#gap(index);
      else if (this.#code === MARK) index = this.#marks(index);
      else if (this.#code === LIGATURE) index = this.#several(lettersOf(this.#source), index);
      else if (this.#code === SAME) index = this.#keep(index, this.#end);
      else index = this.#emit(this.#code, index, this.#end);
    }
    const bytes = Buffer.from(this.#codes.buffer, 0, this.#length * 2);
    return { text: bytes.toString("utf16le"), from: this.#from, to: this.#to };
  }

  #emit(code: number, from: number, to: number): number {
    this.#codes[this.#length] = code;
    this.#from[this.#length] = from;
    this.#to[this.#length++] = to;
    return to;
  }

  /** What is invisible belongs to the character before it. */
  #drop(): number {
    if (this.#length > 0) this.#to[this.#length - 1] = this.#end;
    return this.#end;
  }

  #keep(from: number, to: number): number {
    for (let index = from; index < to; index++) this.#emit(this.#text.charCodeAt(index), index, index + 1);
    return to;
  }

  /** A run of blanks, line breaks and invisible characters. The first one has been read. */
  #gap(start: number): number {
    let blanks = 0;
    let lines = 0;
    let index = start;
    while (this.#isGap()) {
      if (this.#code === SPACE) blanks++;
      if (this.#code === LINE_END) {
        lines++;
        if (this.#text.startsWith("\r\n", index)) this.#end++;
      }
      index = this.#end;
      if (index >= this.#text.length) break;
      this.#read(index);
    }
    return this.#emit(gapOf(blanks, lines), start, index);
  }

  /** A run of digits that may mark a footnote. The first one has been read. */
  #marks(start: number): number {
    const isNote = this.#isNote(start);
    let index = start;
    while (this.#code === MARK) {
      if (isNote) this.#note(index);
      else this.#several(digitsOfMark(this.#source), index);
      index = this.#end;
      if (index >= this.#text.length) break;
      this.#read(index);
    }
    if (!isNote) this.#digitEnd = this.#length;
    return index;
  }

  /** What one character stands for. */
  #several(plain: string, from: number): number {
    for (let offset = 0; offset < plain.length; offset++) this.#emit(plain.charCodeAt(offset), from, this.#end);
    return this.#end;
  }

  #note(from: number): void {
    if (this.#source < 65_536) this.#emit(this.#source, from, this.#end);
    else this.#keep(from, this.#end);
  }

  /** Whether a run is short and directly behind what may have a note, rather than part of a number. */
  #isNote(start: number): boolean {
    if (this.#length - this.#digitEnd < 2 || this.#length === 0) return false;
    if (!mayHaveNote(this.#codes[this.#length - 1] as number)) return false;
    let count = 0;
    let index = start;
    while (this.#code === MARK && (count += digitsOfMark(this.#source).length) <= maxMark) {
      index = this.#end;
      if (index >= this.#text.length) this.#code = SPACE;
      else this.#read(index);
    }
    const isShort = count <= maxMark && !isDigit(this.#code);
    this.#read(start);
    return isShort;
  }

  #isGap(): boolean {
    return this.#code === SPACE || this.#code === LINE_END || this.#code === DROP;
  }

  #read(index: number): void {
    const code = this.#text.charCodeAt(index);
    this.#end = index + 1;
    if (code > 32 && code < 127) {
      this.#code = code;
      if (code === BACKSLASH) this.#escape(index);
      else if (code === PERCENT || code === AMPERSAND) this.#encoded(index, code);
      return;
    }
    if (!isHighSurrogate(code)) this.#as(folded(code), index + 1, code);
    else if (index + 1 === this.#text.length) this.#code = PENDING;
    else this.#pair(index, code);
  }

  /**
   * Reads a character of one or two code units, or half a surrogate pair. Doesn't use codePointAt: once V8 (of Node
   * 24.21) has compiled it, it may read past the end of a text that is a slice of another.
   */
  #pair(index: number, high: number): void {
    const low = this.#text.charCodeAt(index + 1);
    if (low < 0xdc00 || low > 0xdfff) {
      this.#code = SAME;
      return;
    }
    const code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    this.#as(folded(code), index + 2, code);
  }

  #as(code: number, end: number, source = 0): void {
    this.#code = code;
    this.#end = end;
    this.#source = source;
  }

  /** A URL or HTML escape. */
  #encoded(index: number, own: number): void {
    const found = escapeAt(this.#text, index, own);
    if (found === null) return;
    const { code, end } = found;
    if (code < 0) this.#as(PENDING, end);
    else if (code < 32 ? code >= 9 && code <= 13 : code !== 127) this.#as(readCode(code), end, code);
  }

  /** A JSON escape, also within JSON nested in JSON strings. */
  #escape(start: number): void {
    const text = this.#text;
    let index = start + 1;
    while (text.charCodeAt(index) === BACKSLASH) index++;
    const plain = escapes[text[index] ?? ""];
    if (index - start > maxBackslashes) this.#as(BACKSLASH, index);
    else if (index >= text.length) this.#as(PENDING, index);
    else if (plain !== undefined) this.#as(plain, index + 1);
    else if (text[index] === "u") this.#unicode(index);
    else this.#as(BACKSLASH, index);
  }

  /** `index`: position of the u of \uXXXX. */
  #unicode(index: number): void {
    const text = this.#text;
    let end = index + 1;
    while (end < index + 5 && isHex(text.charCodeAt(end))) end++;
    if (end < index + 5) {
      if (end === text.length) this.#as(PENDING, end);
      else this.#as(BACKSLASH, index);
      return;
    }
    const code = Number.parseInt(text.slice(index + 1, end), 16);
    this.#as(readCode(code), end, code);
  }
}

/** Returns the text itself if nothing in it was folded. */
export function fold(text: string): Folded {
  return unusual.test(text) ? new Folding(text).run() : { text, from: null, to: null };
}

const gaps = new RegExp(`[\n${String.fromCharCode(BREAK, PENDING)}]`, "g");

/** The text as words separated by single blanks, for patterns; the same string if it already is. */
export function readable(text: string): string {
  const { text: plain, from } = fold(text);
  return from === null ? text : plain.replace(gaps, " ");
}
