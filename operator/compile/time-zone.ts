/** Whether a name is a time zone; Intl knows what the proxy's Intl knows. */
export function knownTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
