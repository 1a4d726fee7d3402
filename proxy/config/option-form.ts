/** Describes in words what a provider type's option accepts, since a pattern alone helps nobody. */
import type { OptionDeclaration } from "./capabilities.ts";

/** Returns the words of `^(A|B)$`, or null if the pattern is not such a list. */
export function optionWords({ pattern = "" }: OptionDeclaration): string[] | null {
  return /^\^\(([A-Za-z0-9_]+(\|[A-Za-z0-9_]+)+)\)\$$/.exec(pattern)?.[1]?.split("|") ?? null;
}

/** Worded to follow "must be"; null if any text is accepted. */
export function optionForm(option: OptionDeclaration): string | null {
  if (option.pattern === undefined) return null;
  const words = optionWords(option);
  return words === null ? (option.form ?? `matched by ${option.pattern}`) : `one of ${words.join(", ")}`;
}
