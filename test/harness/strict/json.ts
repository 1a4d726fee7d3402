/** Reads JSON whose form is not known, and collects what is wrong with it. */
export type Json = Record<string, unknown>;

export const own = (value: unknown): Json =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Json) : {};
export const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(own) : []);

/** Members of an object that aren't among those that the provider documents. */
export function unknownMembers(object: Json, known: readonly string[], where: string): string[] {
  return Object.keys(object)
    .filter((name) => !known.includes(name))
    .map((name) => `${where}: unknown member ${name}`);
}

export function tooLong(value: unknown, longest: number, where: string): string[] {
  return typeof value === "string" && value.length > longest
    ? [`${where}: string too long. Expected a string with maximum length ${longest}, got ${value.length}`]
    : [];
}

export function misnamed(value: unknown, pattern: RegExp, where: string): string[] {
  return pattern.test(String(value)) ? [] : [`${where}: ${JSON.stringify(value)} does not match ${pattern.source}`];
}

/** Why the calls of a turn and the results after it don't fit. */
export function unanswered(calls: readonly string[], results: readonly string[], where: string): string[] {
  const missing = calls.filter((id) => !results.includes(id)).map((id) => `${where}: call ${id} has no result`);
  const orphans = results.filter((id) => !calls.includes(id)).map((id) => `${where}: result ${id} has no call`);
  return [...missing, ...orphans];
}

export const wordPattern = (longest: number): RegExp => new RegExp(`^[a-zA-Z0-9_-]{1,${longest}}$`);
