/** What one call has had masked: how much of each type, and, where it is to be put back, by what. */
import type { Finding } from "./detectors.ts";
import { labelOf, type Masker } from "./masker.ts";
import { findInParts, replaceInParts } from "./parts.ts";

/** What a placeholder looks like: a type's name of up to 63 characters, each of which may be a capital, and a number. */
const placeholder = /\[[A-Z0-9_]{1,140}\]/g;
const unfinished = /^\[[A-Z0-9_]*$/;
const longestPlaceholder = 142;

/** Value of a type → what stands in its place, the same for the same value in all of a call. */
export class Tally {
  readonly #masker: Masker;
  readonly #byValue = new Map<string, string>();
  readonly #byPlaceholder = new Map<string, string>();
  readonly #numbers = new Map<string, number>();
  /** What looks like a placeholder in the caller's own words. */
  readonly #taken = new Set<string>();
  /** How many were found, by type. */
  readonly counts: Record<string, number> = {};

  constructor(masker: Masker) {
    this.#masker = masker;
  }

  get reversible(): boolean {
    return this.#masker.config.mode === "Placeholder";
  }

  get placeholders(): ReadonlyMap<string, string> {
    return this.#byPlaceholder;
  }

  /**
   * A text that looks like a placeholder must not be taken for one: its number is left out in this call. Each number that
   * is skipped later stands in the texts, so the work grows with them only.
   */
  avoid(texts: Iterable<string>): void {
    for (const text of texts)
      if (text.includes("[")) for (const [lookAlike] of text.matchAll(placeholder)) this.#taken.add(lookAlike);
  }

  /** The text from `begin` on, with what was found replaced. */
  mask(text: string, reversible = this.reversible, begin = 0): string {
    return this.#replaced(text, this.#masker.find(text, begin), reversible, begin);
  }

  /** A number as a text; a policy's own patterns are about texts. */
  maskNumber(text: string): string {
    return this.#replaced(text, this.#masker.findKnown(text), this.reversible);
  }

  /** Texts that are read one behind the other, each with what was found in it, or in several, replaced. */
  maskParts(texts: readonly string[]): readonly string[] {
    const found = findInParts(this.#masker, texts);
    if (found.length === 0) return texts;
    const joined = texts.join("");
    return replaceInParts(texts, found, ({ start, end, type }) => {
      this.counts[type] = (this.counts[type] ?? 0) + 1;
      return this.reversible ? this.#placeholder(type, joined.slice(start, end)) : this.#masker.replacement(type);
    });
  }

  #replaced(text: string, found: readonly Finding[], reversible: boolean, begin = 0): string {
    if (found.length === 0) return begin === 0 ? text : text.slice(begin);
    const out: string[] = [];
    let from = begin;
    for (const { start, end, type } of found) {
      this.counts[type] = (this.counts[type] ?? 0) + 1;
      out.push(
        text.slice(from, start),
        reversible ? this.#placeholder(type, text.slice(start, end)) : this.#masker.replacement(type),
      );
      from = end;
    }
    out.push(text.slice(from));
    return out.join("");
  }

  #placeholder(type: string, value: string): string {
    const key = `${type}\n${value}`;
    const known = this.#byValue.get(key);
    if (known !== undefined) return known;
    let number = (this.#numbers.get(type) ?? 0) + 1;
    const label = labelOf(type);
    while (this.#taken.has(`[${label}_${number}]`)) number++;
    this.#numbers.set(type, number);
    const made = `[${label}_${number}]`;
    this.#byValue.set(key, made);
    this.#byPlaceholder.set(made, value);
    return made;
  }

  /** The text with placeholders put back. */
  restore(text: string, written: (value: string) => string = (value) => value): string {
    if (!text.includes("[")) return text;
    return text.replace(placeholder, (whole) => {
      const value = this.#byPlaceholder.get(whole);
      return value === undefined ? whole : written(value);
    });
  }

  /** Where the end of a text begins that may be the beginning of a placeholder. */
  openEnd(text: string): number {
    const at = text.lastIndexOf("[");
    if (at < 0 || text.length - at > longestPlaceholder || this.#byPlaceholder.size === 0) return text.length;
    return unfinished.test(text.slice(at)) ? at : text.length;
  }
}
