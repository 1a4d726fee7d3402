/** Regular expressions that users write: RE2's, which run in linear time. */
import { RE2JS } from "re2js";

/** Why a text is none; null where it is one. */
export function patternProblem(pattern: string): string | null {
  try {
    RE2JS.compile(pattern);
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/**
 * Instructions of the program that a pattern becomes. Matching takes at most about 25 ns for each instruction and
 * character, so this times the length of a text is what the pattern can cost.
 */
export const patternSize = (pattern: string): number => RE2JS.compile(pattern).programSize();

/** Whether it is found in a text without a character: it would be found everywhere. */
export const matchesNothing = (pattern: string): boolean => RE2JS.compile(pattern).matches("");
