/** Intl takes a while to make a format, and few names are in use: the first ones are remembered. */
const known = new Map<string, boolean>();
const mostNames = 1_000;

function look(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Whether a name is a time zone; Intl knows what the proxy's Intl knows. */
export function knownTimeZone(name: string): boolean {
  const before = known.get(name);
  if (before !== undefined) return before;
  const answer = look(name);
  if (known.size < mostNames) known.set(name, answer);
  return answer;
}
