/** Users' regular expressions, in RE2's syntax, which run in linear time. */
import { RE2JS } from "re2js";

/** Why a text isn't a regular expression; null if it is one. */
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

/** Whether it matches the empty text, and therefore everywhere. */
export const matchesNothing = (pattern: string): boolean => RE2JS.compile(pattern).matches("");
