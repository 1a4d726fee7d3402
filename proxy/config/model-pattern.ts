/** Names of models and patterns, in which one `*` stands for any characters or none. Pure. */

export interface ModelPattern {
  /** As written. */
  text: string;
  prefix: string;
  suffix: string;
}

export const isModelPattern = (name: string): boolean => name.includes("*");

export function modelPattern(text: string): ModelPattern {
  const star = text.indexOf("*");
  return { text, prefix: text.slice(0, star), suffix: text.slice(star + 1) };
}

export const matchesPattern = ({ prefix, suffix }: ModelPattern, model: string): boolean =>
  model.length >= prefix.length + suffix.length && model.startsWith(prefix) && model.endsWith(suffix);

/** The order in which patterns are tried: the longest prefix first, then the longest suffix. */
export const byPrecision = (a: ModelPattern, b: ModelPattern): number =>
  b.prefix.length - a.prefix.length || b.suffix.length - a.suffix.length || (a.text < b.text ? -1 : 1);

/** Whether `text` and `other` have the same `length` characters from these places on. */
function sameAt(text: string, from: number, other: string, otherFrom: number, length: number): boolean {
  for (let index = 0; index < length; index++)
    if (text.charCodeAt(from + index) !== other.charCodeAt(otherFrom + index)) return false;
  return true;
}

/** Whether a name or pattern stands for the model. `model` may be a pattern: then, whether it is no wider. */
export function namesModel(name: string, model: string): boolean {
  const star = name.indexOf("*");
  if (star < 0) return name === model;
  const tail = name.length - star - 1;
  return (
    model.length >= star + tail &&
    sameAt(model, 0, name, 0, star) &&
    sameAt(model, model.length - tail, name, star + 1, tail)
  );
}

/** Whether a list of names and patterns has the model, or all models of a pattern. */
export function listsModel(list: readonly string[], model: string): boolean {
  for (const name of list) if (namesModel(name, model)) return true;
  return false;
}

/** Whether a list, null for any model, allows this one; null if none is named. */
export const allowsModel = (list: readonly string[] | null, model: string | null): boolean =>
  list === null || (model !== null && listsModel(list, model));

/** A list of names and patterns in which models are looked up often. */
export class ModelNames {
  readonly #names: ReadonlySet<string>;
  readonly #patterns: readonly string[];

  constructor(list: readonly string[]) {
    this.#names = new Set(list.filter((name) => !isModelPattern(name)));
    this.#patterns = list.filter(isModelPattern);
  }

  has(model: string): boolean {
    return this.#names.has(model) || listsModel(this.#patterns, model);
  }
}

/** Whether some model can be meant by both. Each is a name or a pattern. */
export function mayMeanTheSame(text: string, other: string): boolean {
  if (!isModelPattern(text)) return namesModel(other, text);
  if (!isModelPattern(other)) return namesModel(text, other);
  const [a, b] = [modelPattern(text), modelPattern(other)];
  return (
    (a.prefix.startsWith(b.prefix) || b.prefix.startsWith(a.prefix)) &&
    (a.suffix.endsWith(b.suffix) || b.suffix.endsWith(a.suffix))
  );
}

/** Of `models`, those that a name or pattern stands for. */
export function modelsNamed(name: string, models: Iterable<string>): string[] {
  return [...models].filter((model) => namesModel(name, model));
}
