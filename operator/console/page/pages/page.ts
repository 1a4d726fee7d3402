/** Properties of every page. */
export interface PageProps {
  /** Limits the page to a namespace; "" for all. */
  namespace: string;
  /** Called when the login has expired. */
  lost(): void;
}

/** Path and query of the page's data. */
export function questionOf(name: string, asked: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== ""));
  return query.size === 0 ? name : `${name}?${query}`;
}
