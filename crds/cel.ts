/** Strings and patterns as CEL literals. */

/** CEL accepts all of JSON's escapes. */
export const literal = (text: string): string => JSON.stringify(text);

/** JavaScript escapes the slashes of a pattern; CEL does not need that. */
const bare = (source: string): string =>
  source.replace(/\\(.)/g, (whole, character) => (character === "/" ? "/" : whole));

/** Whether the pattern matches anywhere in the variable, which is a string. */
export const celMatches = (variable: string, source: string): string => `${variable}.matches(${literal(bare(source))})`;
