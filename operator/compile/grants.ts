/** Which namespaces may use an object, in Gateway API style. */
export interface AllowedNamespaces {
  from: "Same" | "All" | "Selector";
  selector?: { matchLabels?: Record<string, string> | undefined } | undefined;
}

function selected(labels: Readonly<Record<string, string>>, grant: AllowedNamespaces): boolean {
  return Object.entries(grant.selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value);
}

export function granted(
  grant: AllowedNamespaces,
  owner: string,
  user: string,
  namespaces: Readonly<Record<string, Record<string, string>>>,
): boolean {
  if (owner === user || grant.from === "All") return true;
  return grant.from === "Selector" && selected(Object.hasOwn(namespaces, user) ? (namespaces[user] ?? {}) : {}, grant);
}

/** The namespaces that a grant covers, sorted, including the owner's own; "*" for all. */
export function coverage(
  grant: AllowedNamespaces,
  owner: string,
  namespaces: Readonly<Record<string, Record<string, string>>>,
): "*" | string[] {
  if (grant.from === "All") return "*";
  if (grant.from === "Same") return [owner];
  const names = Object.keys(namespaces).filter((name) => selected(namespaces[name] ?? {}, grant));
  return [...new Set([owner, ...names])].sort();
}
