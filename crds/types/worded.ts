/**
 * Text that must match a pattern, and what is said of text that doesn't. `sluice lint` and the API server say the same
 * from here: zod checks the pattern, and `crds/published.ts` makes a CEL rule of it, since of a `pattern` the API
 * server tells the user nothing but the regular expression.
 */
import { z } from "zod";

/** Said instead of the general message where the text matches: what was probably meant, and how that is written. */
export type Hint = readonly [when: RegExp, say: string];

/**
 * Each message goes on from the field's path: "must be …", "needs …". It doesn't repeat the text, which could be a
 * secret in the wrong place.
 */
export interface Words {
  message: string;
  hints: readonly Hint[];
}

declare module "zod" {
  interface GlobalMeta {
    words?: Words;
    /** A secret is sometimes written here by mistake: the API server must not repeat it in its answer. */
    unquoted?: true;
    /** The text is itself a regular expression: `Texts` one that must not be found in the empty text. */
    regularExpression?: "Any" | "Texts";
    /** What `{{…}}` in a text may name. Offline it is the compiler that judges. */
    places?: readonly string[];
  }
}

/** What to say of a text that doesn't match; the first hint that fits wins. */
export function said({ message, hints }: Words, text: string): string {
  return hints.find(([when]) => when.test(text))?.[1] ?? message;
}

/** Longer than any text that a pattern takes which bounds the length itself: the API server answers what is too long without words. */
export const roomy = 80;
export const shortText = z.string().max(roomy);

/** A string with a pattern, which must be one of RE2 and mean the same in JavaScript: `\s`, say, doesn't. Its least length belongs into the pattern, so that short texts get words as well. */
export function worded(type: z.ZodString, pattern: RegExp, message: string, hints: readonly Hint[] = []): z.ZodString {
  const words: Words = { message, hints };
  return type.regex(pattern, { error: ({ input }) => said(words, String(input)) }).meta({ words });
}
