/**
 * Names under which a model may be listed in a price table, most specific first: as written, then without the parts for
 * region or vendor. `patterns`: of the provider's type, with the model's own name in their first group. Pure.
 */
export function tableNames(upstream: string, patterns: readonly string[] = []): string[] {
  const names = [upstream];
  for (const pattern of patterns) {
    const name = new RegExp(pattern).exec(names.at(-1) ?? "")?.[1];
    if (name !== undefined) names.push(name);
  }
  const own = names.at(-1) ?? "";
  // models/NAME, publishers/VENDOR/models/NAME, VENDOR/NAME, and NAME:free
  const last = own.slice(own.lastIndexOf("/") + 1);
  return [...new Set([...names, last, last.replace(/:[a-z]+$/, "")])].filter((name) => name !== "");
}
