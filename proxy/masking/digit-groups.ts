/**
 * Groups of digits in a folded text and what separates them, read ahead only as far as needed. Keeps only the last few
 * groups, so memory doesn't grow with the text.
 */

/** More groups than any number has. */
const kept = 64;
const maxJointLength = 5;

export const NEWLINE = 10;
export const BLANK = 32;
export const OPEN = 40;
export const CLOSE = 41;
export const PLUS = 43;
export const HYPHEN = 45;
export const DOT = 46;
export const SLASH = 47;
export const MIDDLE_DOT = 183;

/** Two groups that can't belong to the same number. */
export const UNJOINED = -1;
const markBits = 0xff;
const openBit = 0x100;
const closeBit = 0x200;
const lineBit = 0x400;
const blankBit = 0x800;

export const isDigit = (code: number): boolean => code >= 48 && code <= 57;
/** An ASCII letter, a digit or an underscore. */
export const isWordCharacter = (code: number): boolean =>
  isDigit(code) || (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code === 95;

/** Flags of the joint after one more character; UNJOINED if the character joins nothing. */
function withCharacter(joint: number, code: number): number {
  const mark = joint & markBits;
  if (code === BLANK) return joint | blankBit;
  if (code === NEWLINE) return joint | blankBit | lineBit;
  if (code === OPEN) return (joint & openBit) === 0 ? joint | openBit : UNJOINED;
  if (code === CLOSE) return joint === 0 ? closeBit : UNJOINED;
  return isMark(code) && mark === 0 && (joint & openBit) === 0 ? joint | code : UNJOINED;
}

/** What can join two groups: at most one mark, brackets and a few blanks. */
function jointOf(text: string, from: number, to: number): number {
  if (to - from > maxJointLength) return UNJOINED;
  let joint = 0;
  for (let index = from; index < to && joint !== UNJOINED; index++)
    joint = withCharacter(joint, text.charCodeAt(index));
  if (joint === UNJOINED) return UNJOINED;
  return (joint & markBits) === 0 && (joint & blankBit) !== 0 ? joint | BLANK : joint;
}

const isMark = (code: number): boolean => code === HYPHEN || code === DOT || code === SLASH || code === MIDDLE_DOT;

export class DigitGroups {
  readonly text: string;
  // Lists that grow: most texts are short, and three buffers for each would cost more than reading it.
  readonly #start: number[] = [];
  readonly #end: number[] = [];
  readonly #joint: number[] = [];
  #count = 0;
  #read = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Whether the group at `index` exists. Reads groups up to it. */
  has(index: number): boolean {
    while (index >= this.#count) if (!this.#next()) return false;
    return true;
  }

  #next(): boolean {
    const { text } = this;
    let start = this.#read;
    while (start < text.length && !isDigit(text.charCodeAt(start))) start++;
    this.#read = start;
    if (start === text.length) return false;
    let end = start + 1;
    while (end < text.length && isDigit(text.charCodeAt(end))) end++;
    this.#read = end;
    const before = this.#count === 0 ? -maxJointLength - 1 : this.end(this.#count - 1);
    const slot = this.#count++ & (kept - 1);
    this.#start[slot] = start;
    this.#end[slot] = end;
    this.#joint[slot] = jointOf(text, before, start);
    return true;
  }

  start(index: number): number {
    return this.#start[index & (kept - 1)] as number;
  }

  end(index: number): number {
    return this.#end[index & (kept - 1)] as number;
  }

  length(index: number): number {
    return this.end(index) - this.start(index);
  }

  /** Whether the group directly follows the previous one, whatever separates them. */
  joined(index: number): boolean {
    return this.#joint[index & (kept - 1)] !== UNJOINED;
  }

  /** What joins the group to the previous one: BLANK, a mark, 0 for brackets only, or UNJOINED. */
  mark(index: number): number {
    const joint = this.#joint[index & (kept - 1)] as number;
    return joint === UNJOINED ? UNJOINED : joint & markBits;
  }

  /** As `mark`, and UNJOINED if there is a bracket in between. */
  plainMark(index: number): number {
    const joint = this.#joint[index & (kept - 1)] as number;
    return joint === UNJOINED || (joint & (openBit | closeBit)) !== 0 ? UNJOINED : joint & markBits;
  }

  /** Whether a bracket opens directly before the group. */
  opens(index: number): boolean {
    return this.text.charCodeAt(this.start(index) - 1) === OPEN;
  }

  /** Whether a bracket closes directly after the group. */
  closes(index: number): boolean {
    return this.text.charCodeAt(this.end(index)) === CLOSE;
  }

  /** Whether there is a bracket between the group and the previous one. */
  bracketed(index: number): boolean {
    const joint = this.#joint[index & (kept - 1)] as number;
    return joint !== UNJOINED && (joint & (openBit | closeBit)) !== 0;
  }

  /** Whether there is a line break between the group and the previous one. */
  breaks(index: number): boolean {
    const joint = this.#joint[index & (kept - 1)] as number;
    return joint !== UNJOINED && (joint & lineBit) !== 0;
  }

  /** The digit at `offset` within the group. */
  digit(index: number, offset = 0): number {
    return this.text.charCodeAt(this.start(index) + offset) - 48;
  }
}
