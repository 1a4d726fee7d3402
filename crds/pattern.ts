/** Regular expressions that users write: RE2's, which run in linear time. */
import { RE2JS } from "re2js";

/** Why a text is not a regular expression; null if it is. */
export function patternProblem(pattern: string): string | null {
  try {
    RE2JS.compile(pattern);
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/**
 * Instructions of the program that a pattern compiles to. Matching takes at most about 25 ns per instruction and
 * character, so this times the length of a text is the most that the pattern can cost.
 */
export const patternSize = (pattern: string): number => RE2JS.compile(pattern).programSize();

/** Whether it matches the empty text: then it would match everywhere. */
export const matchesNothing = (pattern: string): boolean => RE2JS.compile(pattern).matches("");
