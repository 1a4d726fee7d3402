/** A policy's masking, compiled: what to look for, and what to put in its place. */
import { RE2JS } from "re2js";
import type { MaskConfig } from "../config/masking.ts";
import { detectorNames, detectors, type Finding, mayHold, settled } from "./detectors.ts";

interface Custom {
  name: string;
  pattern: RE2JS;
}

/** In a stream, what a custom pattern finds may be this long, in characters. */
const customReach = 128;
/** So much of a stream's end may belong to something that is not all there, in characters. */
const longestToken = 320;

const digit = /\d/;
const word = /[^\s,;:<>()[\]"\\]/;
/** The colon with a digit behind it tells a time, or an address, from a telephone number. */
const numeric = /[\d +().\-/:]/;

export class Masker {
  readonly config: MaskConfig;
  readonly #custom: readonly Custom[];
  readonly #replacements: ReadonlyMap<string, string>;

  constructor(config: MaskConfig) {
    this.config = config;
    this.#custom = config.custom.map(({ name, pattern }) => ({ name, pattern: RE2JS.compile(pattern) }));
    this.#replacements = new Map([
      ...config.detect.map((name) => [name, `[${labelOf(name)}]`] as const),
      ...config.custom.map(({ name, replacement }) => [name, replacement ?? `[${labelOf(name)}]`] as const),
    ]);
  }

  /** What lies before `from` is gone: it is there for what stands before a match to be seen. */
  find(text: string, from = 0): Finding[] {
    const found = mayHold(text) ? this.config.detect.flatMap((name) => detectors[name](text)) : [];
    for (const { name, pattern } of this.#custom) {
      const matcher = pattern.matcher(text);
      while (matcher.find()) found.push({ start: matcher.start(), end: matcher.end(), type: name });
    }
    return settled(
      from === 0
        ? found
        : found.filter(({ end }) => end > from).map((one) => (one.start < from ? { ...one, start: from } : one)),
    );
  }

  replacement(type: string): string {
    return this.#replacements.get(type) ?? "[MASKED]";
  }

  /** Where the end of a text begins that may be the beginning of something: it has to wait for what follows. */
  openEnd(text: string): number {
    const least = Math.max(0, text.length - longestToken);
    const back = (from: number, part: RegExp): number => {
      let at = from;
      while (at > least && part.test(text[at - 1] ?? "")) at--;
      return at;
    };
    let from = back(back(text.length, numeric), word);
    // Groups of digits with blanks between them may hang on a word that begins like one of them, and on one another.
    while (numeric.test(text[from] ?? "")) {
      const first = back(from, numeric);
      if (!digit.test(text.slice(first, from))) break;
      from = back(first, word);
    }
    return this.#custom.length === 0 ? from : Math.min(from, Math.max(0, text.length - customReach));
  }
}

/** CreditCard → CREDIT_CARD */
export const labelOf = (name: string): string => name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();

/** Everything that can be found, for what is written down. */
export const everyMask = new Masker({ detect: [...detectorNames], custom: [], mode: "Replace", answers: false });
