/** What an option of a provider type takes, in words: a pattern alone tells people nothing. */
import type { OptionDeclaration } from "./capabilities.ts";

/** The words of `^(A|B)$`; null where a pattern is no such list. */
export function optionWords({ pattern = "" }: OptionDeclaration): string[] | null {
  return /^\^\(([A-Za-z0-9_]+(\|[A-Za-z0-9_]+)+)\)\$$/.exec(pattern)?.[1]?.split("|") ?? null;
}

/** Goes on from "must be"; null where every text is taken. */
export function optionForm(option: OptionDeclaration): string | null {
  if (option.pattern === undefined) return null;
  const words = optionWords(option);
  return words === null ? (option.form ?? `matched by ${option.pattern}`) : `one of ${words.join(", ")}`;
}
