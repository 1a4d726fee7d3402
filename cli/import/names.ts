/** Turns names from other gateways into names of Kubernetes objects, users and models. */

/** Lower-case letters, digits, - and ., as an object's name must be. */
export function objectNameFrom(text: string, otherwise = "unnamed"): string {
  const name = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .slice(0, 200)
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  return name === "" ? otherwise : name;
}

const trimmed = (text: string): string => text.slice(0, 128).replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, "");

/** A user, team, role or tag. */
export const subjectFrom = (text: string): string => trimmed(text.replace(/[^A-Za-z0-9._@:/+-]+/g, "-")) || "unnamed";

/** A model's name without characters that callers can't write; null if none are left. */
export function modelNameFrom(text: string): string | null {
  const name = trimmed(text.replace(/[^A-Za-z0-9._:/@+-]+/g, "-"));
  return name === "" ? null : name;
}

/** The next number for each name, so that numbering a thousand equal names doesn't start at 2 each time. */
const counts = new WeakMap<Set<string>, Map<string, number>>();

/** Adds -2, -3, … to a name that is taken, and reserves the result. `most`: maximum length in characters. */
export function uniqueName(name: string, taken: Set<string>, { separator = "-", most = 253 } = {}): string {
  const next = counts.get(taken) ?? new Map<string, number>();
  counts.set(taken, next);
  let unique = name;
  let count = next.get(name) ?? 2;
  for (; taken.has(unique); count++) {
    const end = `${separator}${count}`;
    unique = `${name.slice(0, most - end.length)}${end}`;
  }
  next.set(name, count);
  taken.add(unique);
  return unique;
}
