/** Intl is slow to create a format, and few zones are in use, so the first ones are cached. */
const known = new Map<string, boolean>();
const maxNames = 1_000;

function look(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Whether a name is a time zone; this Intl knows the same zones as the proxy's. */
export function knownTimeZone(name: string): boolean {
  const before = known.get(name);
  if (before !== undefined) return before;
  const answer = look(name);
  if (known.size < maxNames) known.set(name, answer);
  return answer;
}
