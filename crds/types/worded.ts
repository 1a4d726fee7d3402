/**
 * Text that must match a pattern, and the message for text that doesn't. `sluice lint` and the API server share both:
 * zod checks the pattern, and `crds/published.ts` makes a CEL rule of it, since for a `pattern` the API server shows
 * the user only the regular expression.
 */
import { z } from "zod";

/** Replaces the general message if the text matches: what the user probably meant, and how to write it. */
export type Hint = readonly [when: RegExp, say: string];

/**
 * Each message continues the field's path: "must be …", "needs …". It doesn't repeat the text, which could be a secret
 * in the wrong place.
 */
export interface Words {
  message: string;
  hints: readonly Hint[];
}

declare module "zod" {
  interface GlobalMeta {
    words?: Words;
    /** Users sometimes paste a secret here by mistake: the API server must not repeat it in its response. */
    unquoted?: true;
    /** The text is itself a regular expression: with `Texts`, one that must not match the empty text. */
    regularExpression?: "Any" | "Texts";
    /** Placeholders `{{…}}` that the text may use. Offline the compiler checks them. */
    places?: readonly string[];
  }
}

/** Messages for texts that don't match; the first hint that applies wins. */
export function said({ message, hints }: Words, text: string): string {
  return hints.find(([when]) => when.test(text))?.[1] ?? message;
}

/**
 * Longer than any text that a pattern with its own length limit accepts: for text beyond maxLength the API server gives
 * no message of ours.
 */
export const roomy = 80;
export const shortText = z.string().max(roomy);

/**
 * A string with a pattern, which must be valid RE2 and mean the same in JavaScript (`\s`, for one, doesn't). The
 * pattern includes the least length, so that short texts get a message as well.
 */
export function worded(type: z.ZodString, pattern: RegExp, message: string, hints: readonly Hint[] = []): z.ZodString {
  const words: Words = { message, hints };
  return type.regex(pattern, { error: ({ input }) => said(words, String(input)) }).meta({ words });
}
