/**
 * What was masked in one call: how many values of each type and, if they are to be restored, the placeholder of each.
 */
import type { Finding } from "./detectors.ts";
import { labelOf, type Masker } from "./masker.ts";
import { findInParts, replaceInParts } from "./parts.ts";

/**
 * What a placeholder looks like: a type name of up to 63 characters, each of which may be a capital letter, and a
 * number.
 */
const placeholder = /\[[A-Z0-9_]{1,140}\]/g;
const unfinished = /^\[[A-Z0-9_]*$/;
const maxPlaceholderLength = 142;

/** Value of a type → its placeholder. Equal values get the same placeholder throughout a call. */
export class Tally {
  readonly #masker: Masker;
  readonly #byValue = new Map<string, string>();
  readonly #byPlaceholder = new Map<string, string>();
  readonly #numbers = new Map<string, number>();
  /** Text in the caller's own words that looks like a placeholder. */
  readonly #taken = new Set<string>();
  /** How many values were masked, by type. */
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
   * A text that looks like a placeholder must not be restored as one, so its number is not used in this call. Each
   * number skipped later occurs in the texts, so the work grows only with them.
   */
  avoid(texts: Iterable<string>): void {
    for (const text of texts)
      if (text.includes("[")) for (const [lookAlike] of text.matchAll(placeholder)) this.#taken.add(lookAlike);
  }

  /** Takes over what another tally of the same masker has counted and replaced. */
  adopt(counts: Readonly<Record<string, number>>, placeholders: Iterable<readonly [string, string]> = []): void {
    for (const [type, count] of Object.entries(counts)) this.counts[type] = (this.counts[type] ?? 0) + count;
    for (const [made, value] of placeholders) this.#byPlaceholder.set(made, value);
  }

  /** The text from `begin` on, with matches replaced. */
  mask(text: string, reversible = this.reversible, begin = 0): string {
    return this.#replaced(text, this.#masker.find(text, begin), reversible, begin);
  }

  /** A number as text. A policy's own patterns apply only to texts. */
  maskNumber(text: string): string {
    return this.#replaced(text, this.#masker.findKnown(text), this.reversible);
  }

  /** Texts that are read one after the other, with the matches in each, and across several, replaced. */
  maskParts(texts: readonly string[]): readonly string[] {
    const findings = findInParts(this.#masker, texts);
    if (findings.length === 0) return texts;
    const joined = texts.join("");
    return replaceInParts(texts, findings, ({ start, end, type }) => {
      this.counts[type] = (this.counts[type] ?? 0) + 1;
      return this.reversible ? this.#placeholder(type, joined.slice(start, end)) : this.#masker.replacement(type);
    });
  }

  #replaced(text: string, findings: readonly Finding[], reversible: boolean, begin = 0): string {
    if (findings.length === 0) return begin === 0 ? text : text.slice(begin);
    const out: string[] = [];
    let from = begin;
    for (const { start, end, type } of findings) {
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
    const cached = this.#byValue.get(key);
    if (cached !== undefined) return cached;
    let number = (this.#numbers.get(type) ?? 0) + 1;
    const label = labelOf(type);
    while (this.#taken.has(`[${label}_${number}]`)) number++;
    this.#numbers.set(type, number);
    const made = `[${label}_${number}]`;
    this.#byValue.set(key, made);
    this.#byPlaceholder.set(made, value);
    return made;
  }

  /** The text with placeholders replaced by the original values. */
  restore(text: string, written: (value: string) => string = (value) => value): string {
    if (!text.includes("[")) return text;
    return text.replace(placeholder, (whole) => {
      const value = this.#byPlaceholder.get(whole);
      return value === undefined ? whole : written(value);
    });
  }

  /** Where the end of a text begins that may be the start of a placeholder. */
  openEnd(text: string): number {
    const index = text.lastIndexOf("[");
    if (index < 0 || text.length - index > maxPlaceholderLength || this.#byPlaceholder.size === 0) return text.length;
    return unfinished.test(text.slice(index)) ? index : text.length;
  }
}
