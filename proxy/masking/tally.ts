/** What one call has had masked: how much of each type, and, where it is to be put back, by what. */
import { labelOf, type Masker } from "./masker.ts";

/** Value of a type → what stands in its place, the same for the same value in all of a call. */
export class Tally {
  readonly #masker: Masker;
  readonly #byValue = new Map<string, string>();
  readonly #byPlaceholder = new Map<string, string>();
  readonly #numbers = new Map<string, number>();
  #salt = "";
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

  /** A text that looks like a placeholder must not be taken for one: then placeholders look otherwise in this call. */
  avoid(texts: Iterable<string>): void {
    const seen = [...texts].filter((text) => text.includes("["));
    while (
      seen.some(
        (text) => text.includes(`_${this.#salt}`) && new RegExp(`\\[[A-Z0-9_]+_${this.#salt}\\d+\\]`).test(text),
      )
    )
      this.#salt += "X";
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
    const number = (this.#numbers.get(type) ?? 0) + 1;
    this.#numbers.set(type, number);
    const made = `[${labelOf(type)}_${this.#salt}${number}]`;
    this.#byValue.set(key, made);
    this.#byPlaceholder.set(made, value);
    return made;
  }

  /** The text with placeholders put back. */
  restore(text: string, written: (value: string) => string = (value) => value): string {
    if (!text.includes("[")) return text;
    return text.replace(/\[[A-Z0-9_]{1,80}\]/g, (whole) => {
      const value = this.#byPlaceholder.get(whole);
      return value === undefined ? whole : written(value);
    });
  }

  /** Where the end of a text begins that may be the beginning of a placeholder. */
  openEnd(text: string): number {
    const at = text.lastIndexOf("[");
    if (at < 0 || text.length - at > 84) return text.length;
    const rest = text.slice(at);
    return [...this.#byPlaceholder.keys()].some((placeholder) => placeholder.startsWith(rest) && placeholder !== rest)
      ? at
      : text.length;
  }
}
