/** What one call has had masked: how much of each type, and, where it is to be put back, by what. */
import { labelOf, type Masker } from "./masker.ts";

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
    const found = this.#masker.find(text, begin);
    let out = "";
    let from = begin;
    for (const { start, end, type } of found) {
      this.counts[type] = (this.counts[type] ?? 0) + 1;
      out +=
        text.slice(from, start) +
        (reversible ? this.#placeholder(type, text.slice(start, end)) : this.#masker.replacement(type));
      from = end;
    }
    return out + text.slice(from);
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
