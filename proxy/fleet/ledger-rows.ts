/** Rows of the usage ledger: how they add up. */
import { type LedgerDimension, type LedgerRow, ledgerDimensions, ledgerMeasures } from "../config/ledger.ts";

export { type LedgerDimension, type LedgerMeasure, ledgerDimensions, ledgerMeasures } from "../config/ledger.ts";

export const rowKey = (row: Pick<LedgerRow, LedgerDimension>): string => {
  const values: string[] = [];
  for (const name of ledgerDimensions) values.push(row[name]);
  return JSON.stringify(values);
};

/** An empty row from its hour and its key; null where the key is none. */
export function rowFrom(hourMs: number, key: string): LedgerRow | null {
  const values = JSON.parse(key) as unknown;
  if (!Array.isArray(values) || values.length !== ledgerDimensions.length) return null;
  const row: Record<string, unknown> = { hourMs };
  for (const [at, name] of ledgerDimensions.entries()) row[name] = String(values[at]);
  for (const name of ledgerMeasures) row[name] = 0;
  return row as unknown as LedgerRow;
}

/** Adds a row's measures to the one under the key. */
export function addRow(rows: Map<string, LedgerRow>, key: string, row: LedgerRow): void {
  const known = rows.get(key);
  if (known === undefined) rows.set(key, { ...row });
  else for (const name of ledgerMeasures) known[name] += row[name];
}

/** Rows of hours in [fromMs, toMs), by hour. */
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
