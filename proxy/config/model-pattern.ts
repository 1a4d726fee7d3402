/** Patterns in `match.models`, in which one `*` stands for any characters or none. Pure. */

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

/** Whether a list of names and patterns has the model. */
export const listsModel = (list: readonly string[], model: string): boolean =>
  list.includes(model) || list.some((name) => isModelPattern(name) && matchesPattern(modelPattern(name), model));

/** Of `models`, those that a name or pattern stands for. */
export function modelsNamed(name: string, models: Iterable<string>): string[] {
  if (!isModelPattern(name)) return [...models].filter((model) => model === name);
  const pattern = modelPattern(name);
  return [...models].filter((model) => matchesPattern(pattern, model));
}
