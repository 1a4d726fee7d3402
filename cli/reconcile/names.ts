/** Matches an invoice's model names with the ledger's: they differ in dates, order and punctuation. Pure. */

/**
 * The letters and digits of a name without prefixes, versions and dates. The letters are sorted, as some names have
 * their words in another order or without spaces.
 */
export function modelKey(name: string): string {
  const plain = name
    .toLowerCase()
    .replace(/^.*\//, "")
    .replace(/^([a-z]+\.)+(?=[a-z])/, "")
    .replace(/-v\d+(:\d+)?$/, "")
    .replace(/-?\d{4}-\d{2}-\d{2}/, "")
    .replace(/(?<!\d)\d{8}(?!\d)/, "")
    .replace(/(?<![\d.])\d{4}(?![\d.])/, "")
    .replace(/[-@]latest$/, "");
  const letters = plain.match(/[a-z]/g) ?? [];
  const digits = plain.match(/\d/g) ?? [];
  return `${letters.sort().join("")} ${digits.join("")}`;
}

/** Finds the ledger's name for an invoice's: given by the user, equal, or alike. Otherwise the invoice's own. */
export function ledgerNames(
  ledgerModels: readonly string[],
  given: ReadonlyMap<string, string>,
): (model: string) => string {
  const exact = new Set(ledgerModels);
  const alike = new Map<string, string>();
  // Of similar models, such as two dates of one, the shortest name is used unless another is equal.
  for (const model of ledgerModels.toSorted((a, b) => b.length - a.length || (a < b ? 1 : -1)))
    alike.set(modelKey(model), model);
  return (model) =>
    given.get(model.toLowerCase()) ?? (exact.has(model) ? model : (alike.get(modelKey(model)) ?? model));
}
