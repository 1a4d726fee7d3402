/** Texts and patterns as CEL has them. */

/** JSON's escapes are all among CEL's. */
export const literal = (text: string): string => JSON.stringify(text);

/** JavaScript escapes the slashes of a pattern, which need none here. */
const bare = (source: string): string =>
  source.replace(/\\(.)/g, (whole, character) => (character === "/" ? "/" : whole));

/** Whether the pattern is found in the variable, which is a string. */
export const celMatches = (variable: string, source: string): string => `${variable}.matches(${literal(bare(source))})`;
