/** Rows of the usage ledger and how they are summed. */
import { type LedgerDimension, type LedgerRow, ledgerDimensions, ledgerMeasures } from "../config/ledger.ts";

export const rowKey = (row: Pick<LedgerRow, LedgerDimension>): string => {
  const values: string[] = [];
  for (const name of ledgerDimensions) values.push(row[name]);
  return JSON.stringify(values);
};

/** Returns an empty row for an hour and a row key, or null if the key is malformed. */
export function rowFrom(hourMs: number, key: string): LedgerRow | null {
  const values = JSON.parse(key) as unknown;
  if (!Array.isArray(values) || values.length !== ledgerDimensions.length) return null;
  const row: Record<string, unknown> = { hourMs };
  for (const [index, name] of ledgerDimensions.entries()) row[name] = String(values[index]);
  for (const name of ledgerMeasures) row[name] = 0;
  return row as unknown as LedgerRow;
}

/** The same measures under another key. */
export const rowWithKey = (row: LedgerRow, key: string): LedgerRow => {
  const renamed = rowFrom(row.hourMs, key) ?? row;
  return { ...row, ...Object.fromEntries(ledgerDimensions.map((name) => [name, renamed[name]])) };
};

/** The key in rows of a user whose name was replaced. */
const erasedKey = "erased";

/** The key of a user's row with the user's name replaced; null if the row is someone else's. */
export function renamedKey(key: string, user: string, namespace: string | null, replacement: string): string | null {
  // Most rows are someone else's and need no parsing.
  if (!key.includes(JSON.stringify(user))) return null;
  const row = rowFrom(0, key);
  if (row === null || row.user !== user || (namespace !== null && row.namespace !== namespace)) return null;
  return rowKey({ ...row, user: replacement, key: row.key === "" ? "" : `${row.namespace}/${erasedKey}` });
}

/** Adds a row's measures to the row stored under `key`. */
export function addRow(rows: Map<string, LedgerRow>, key: string, row: LedgerRow): void {
  const existing = rows.get(key);
  if (existing === undefined) rows.set(key, { ...row });
  else for (const name of ledgerMeasures) existing[name] = (existing[name] ?? 0) + (row[name] ?? 0);
}

/** Returns the rows of hours in [fromMs, toMs), by hour. */
export function newerRows(
  ledger: ReadonlyMap<number, ReadonlyMap<string, LedgerRow>>,
  fromMs: number,
  toMs: number,
): LedgerRow[] {
  return [...ledger.keys()]
    .filter((hour) => hour >= fromMs && hour < toMs)
    .sort((a, b) => a - b)
    .flatMap((hour) => [...(ledger.get(hour)?.values() ?? [])].map((row) => ({ ...row })));
}
