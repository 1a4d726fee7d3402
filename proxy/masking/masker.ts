/** A policy's compiled masking: what to look for and what to replace it with. */
import { RE2JS } from "re2js";
import type { MaskConfig } from "../config/masking.ts";
import { BREAK, type Folded, fold, PENDING } from "../guard/fold.ts";
import {
  blockLength,
  type DetectorName,
  detectorNames,
  type Finding,
  findAll,
  foldedOffset,
  settled,
} from "./detectors.ts";

interface Custom {
  name: string;
  pattern: RE2JS;
}

/** Longest match of a custom pattern in a stream, in characters. */
const customReach = 128;
/** How much of a stream's end may belong to an incomplete match, in characters. */
const maxTokenLength = 320;

/** Characters of a folded text that may occur in a number. A colon distinguishes a time or an address from a number. */
const inNumber = 1;
/** Characters that may occur in a word: anything but blanks, brackets, quotes and marks that separate words. */
const inWord = 2;

const kinds = new Uint8Array(256).fill(inWord);
for (const mark of ' \n\t\r,;:<>()[]"\\') kinds[mark.charCodeAt(0)] = 0;
for (const mark of "0123456789 \n+().-/:\u00b7")
  kinds[mark.charCodeAt(0)] = (kinds[mark.charCodeAt(0)] ?? 0) | inNumber;
kinds[BREAK] = 0;
kinds[PENDING] = inNumber | inWord;

const isKind = (text: string, index: number, kind: number): boolean => {
  const code = text.charCodeAt(index);
  return code < 256 ? ((kinds[code] as number) & kind) !== 0 : kind === inWord;
};
const isDigit = (code: number): boolean => code >= 48 && code <= 57;

export class Masker {
  readonly config: MaskConfig;
  readonly #detect: ReadonlySet<DetectorName>;
  readonly #custom: readonly Custom[];
  readonly #replacements: ReadonlyMap<string, string>;

  constructor(config: MaskConfig) {
    this.config = config;
    this.#detect = new Set(config.detect);
    this.#custom = config.custom.map(({ name, pattern }) => ({ name, pattern: RE2JS.compile(pattern) }));
    this.#replacements = new Map([
      ...config.detect.map((name) => [name, `[${labelOf(name)}]`] as const),
      ...config.custom.map(({ name, replacement }) => [name, replacement ?? `[${labelOf(name)}]`] as const),
    ]);
  }

  /** Instructions of the policy's own patterns: how much they may cost for each character. */
  get customSize(): number {
    return this.#custom.reduce((sum, { pattern }) => sum + pattern.programSize(), 0);
  }

  /**
   * How much text of a stream to gather before it is examined again. Each time, all held text is examined: with costly
   * patterns, doing that for each piece would cost many times more than the whole text.
   */
  get stride(): number {
    return Math.min(customReach, this.customSize >> 2);
  }

  /** Matches that begin at or after `from`. The text before it has been released and serves only as context. */
  find(text: string, from = 0): Finding[] {
    return this.#find(text, from, null);
  }

  /** As `find`, and where the end of the text begins that may be the start of a match and must wait for what follows. */
  examine(text: string, from: number): { findings: Finding[]; open: number } {
    if (text.length > blockLength) return { findings: this.find(text, from), open: this.openEnd(text) };
    const folded = fold(text);
    return { findings: this.#find(text, from, folded), open: this.#openEnd(text, folded) };
  }

  /** Where the end of a text begins that may be the start of a match and must wait for what follows. */
  openEnd(text: string): number {
    const skipped = Math.max(0, text.length - maxTokenLength);
    const end = text.slice(skipped);
    return skipped + this.#openEnd(end, fold(end));
  }

  #openEnd(text: string, folded: Folded): number {
    const open = openEnd(text, folded);
    return this.#custom.length === 0 ? open : Math.min(open, Math.max(0, text.length - customReach));
  }

  #find(text: string, from: number, folded: Folded | null): Finding[] {
    const findings = findAll(text, this.#detect, from, folded);
    if (this.#custom.length === 0) return findings;
    for (const custom of this.#findCustom(text, folded ?? fold(text)))
      if (custom.end > from) findings.push({ ...custom, start: Math.max(custom.start, from) });
    return settled(findings);
  }

  /** Matches of the detectors, without the policy's own patterns. */
  findKnown(text: string): Finding[] {
    return findAll(text, this.#detect);
  }

  /** Matches of the policy's own patterns, in the text as written and as read. */
  findCustom(text: string): Finding[] {
    return this.#custom.length === 0 ? [] : this.#findCustom(text, fold(text));
  }

  #findCustom(text: string, folded: Folded): Finding[] {
    const findings: Finding[] = [];
    for (const { name, pattern } of this.#custom) {
      for (const match of matchesOf(pattern, text)) findings.push({ ...match, type: name });
      if (folded.from === null) continue;
      for (const { start, end } of matchesOf(pattern, folded.text))
        if (end > start) findings.push({ start: original(folded, start), end: originalEnd(folded, end), type: name });
    }
    return findings;
  }

  replacement(type: string): string {
    return this.#replacements.get(type) ?? "[MASKED]";
  }
}

/** Examines only the end, with any escape that may have started there. */
function openEnd(text: string, folded: Folded): number {
  const skipped = Math.max(0, text.length - maxTokenLength);
  const least = foldedOffset(folded, skipped);
  const back = (from: number, kind: number): number => {
    let index = from;
    while (index > least && isKind(folded.text, index - 1, kind)) index--;
    return index;
  };
  let from = back(back(folded.text.length, inNumber), inWord);
  // Groups of digits separated by blanks may belong to a word that begins like one of them, and to each other.
  while (isKind(folded.text, from, inNumber)) {
    const first = back(from, inNumber);
    if (!holdsDigit(folded.text, first, from)) break;
    from = back(first, inWord);
  }
  // What nobody sees may have no place in the folded text.
  return Math.max(skipped, original(folded, from));
}

function holdsDigit(text: string, from: number, to: number): boolean {
  for (let index = from; index < to; index++) if (isDigit(text.charCodeAt(index))) return true;
  return false;
}

/** Position in the original of an offset in the folded text. */
function original({ text, from, to }: Folded, offset: number): number {
  if (from === null || to === null) return offset;
  return offset < text.length ? (from[offset] as number) : offset === 0 ? 0 : (to[offset - 1] as number);
}

const originalEnd = ({ to }: Folded, end: number): number => (to === null ? end : (to[end - 1] as number));

function* matchesOf(pattern: RE2JS, text: string): Generator<{ start: number; end: number }> {
  // Whether there is a match is found many times faster than where.
  if (!pattern.test(text)) return;
  const matcher = pattern.matcher(text);
  while (matcher.find()) yield { start: matcher.start(), end: matcher.end() };
}

/** CreditCard → CREDIT_CARD */
export const labelOf = (name: string): string => name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();

/** All types that masking can report, for logs and metrics. */
export const everyMask = new Masker({ detect: [...detectorNames], custom: [], mode: "Replace", answers: false });
