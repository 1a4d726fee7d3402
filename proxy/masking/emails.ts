/** E-mail addresses in a folded text, found outwards from their @. Examines each character at most twice. Pure. */
import { BREAK, PENDING } from "../guard/fold.ts";

const maxLocalLength = 64;
const maxDomainLength = 253;
const AT = 64;

/** Character classes; 0 means not computed yet. */
const NONE = 1;
const LETTER = 2;
const DIGIT = 3;
const LOCAL_MARK = 4;
const HYPHEN = 5;
const DOT = 6;
/** Marks that are allowed in an address but more often surround one. */
const EDGE_MARK = 7;

const classes = new Uint8Array(65_536);
const otherLetter = /[\p{L}\p{N}\p{M}]/u;
for (let code = 48; code <= 57; code++) classes[code] = DIGIT;
for (const mark of "_%+") classes[mark.charCodeAt(0)] = LOCAL_MARK;
for (const mark of "'!#$&*/=?^`{|}~") classes[mark.charCodeAt(0)] = EDGE_MARK;
classes[45] = HYPHEN;
classes[46] = DOT;

function classOf(code: number): number {
  const known = classes[code] as number;
  if (known !== 0) return known;
  const surrogate = code >= 0xd800 && code < 0xe000;
  const plain = (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
  const letter = plain || (code > 127 && (surrogate || otherLetter.test(String.fromCharCode(code))));
  return (classes[code] = letter && code !== BREAK && code !== PENDING ? LETTER : NONE);
}

const isLocal = (kind: number): boolean => kind !== NONE;
const isDomain = (kind: number): boolean => kind === LETTER || kind === DIGIT || kind === HYPHEN || kind === DOT;

/** `icon@2x.png` is the name of an image. */
const picture = /^\d+x\.[A-Za-z]+$/;

/** Where a possible domain ends: at two dots, or at a character that no domain has. */
function domainRun(text: string, index: number): number {
  let end = index + 1;
  let before = DOT;
  while (end < text.length && end - index <= maxDomainLength) {
    const kind = classOf(text.charCodeAt(end));
    if (!isDomain(kind) || (kind === DOT && before === DOT)) break;
    before = kind;
    end++;
  }
  while (end > index + 1 && isEnding(text.charCodeAt(end - 1))) end--;
  return end;
}

/** A full stop or hyphen after an address belongs to the sentence. */
const isEnding = (code: number): boolean => code === 46 || code === 45;

/** Where the domain after the @ ends; -1 if there is none. */
function domainEnd(text: string, index: number): number {
  const end = domainRun(text, index);
  let last = end;
  while (last > index + 1 && text.charCodeAt(last - 1) !== 46) last--;
  // A domain has at least two labels. The last one has at least two characters and begins with a letter.
  if (last <= index + 1 || end - last < 2 || classOf(text.charCodeAt(last)) !== LETTER) return -1;
  return end - index < 16 && picture.test(text.slice(index + 1, end)) ? -1 : end;
}

/** Where the address before the @ begins, at or after `floor`; `index` if there is none. */
function localStart(text: string, index: number, floor: number): number {
  let start = index;
  while (start > floor && index - start < maxLocalLength && isLocal(classOf(text.charCodeAt(start - 1)))) start--;
  for (;;) {
    const kind = classOf(text.charCodeAt(start));
    if (start === index || (kind !== DOT && kind !== EDGE_MARK)) return start;
    start++;
  }
}

/** Addresses in the order of the text. */
export class Emails {
  readonly #text: string;
  /** Position of the next @ that has a domain. */
  #at: number;
  #end = -1;
  start = 0;

  constructor(text: string, floor: number) {
    this.#text = text;
    this.#at = text.indexOf("@");
    this.#settle(floor);
  }

  get end(): number {
    return this.#end;
  }

  /** Whether no address is left. */
  get done(): boolean {
    return this.#at < 0;
  }

  /** Nothing before `floor` can belong to an address any more. */
  from(floor: number): void {
    if (this.done || this.start >= floor) return;
    if (this.#at < floor) this.#at = this.#text.indexOf("@", floor);
    this.#end = -1;
    this.#settle(floor);
  }

  #settle(floor: number): void {
    for (; this.#at >= 0; this.#at = this.#text.indexOf("@", this.#at + 1)) {
      this.#end = domainEnd(this.#text, this.#at);
      if (this.#end < 0) continue;
      this.start = localStart(this.#text, this.#at, floor);
      if (this.start < this.#at && this.#text.charCodeAt(this.#at) === AT) return;
    }
  }
}
