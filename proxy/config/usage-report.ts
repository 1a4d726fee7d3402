/** Totals from the usage ledger for reports. Pure; money stays integer nano-USD until it is shown. */
import {
  type LedgerDimension,
  type LedgerMeasure,
  type LedgerRow,
  ledgerDimensions,
  ledgerMeasures,
} from "./ledger.ts";

/** What a report can be grouped by: the ledger's dimensions, and time in UTC. */
export const groupings = [...ledgerDimensions, "hour", "day"] as const;
export type Grouping = LedgerDimension | "hour" | "day";

export interface Group {
  /** In the requested order. */
  by: Partial<Record<Grouping, string>>;
  sums: Record<LedgerMeasure, number>;
}

function groupValue(row: LedgerRow, grouping: Grouping): string {
  if (grouping === "hour") return new Date(row.hourMs).toISOString().slice(0, 13);
  return grouping === "day" ? new Date(row.hourMs).toISOString().slice(0, 10) : row[grouping];
}

/** Returns one group for each combination that occurs, sorted by their values. */
export function groupRows(rows: readonly LedgerRow[], groupBy: readonly Grouping[]): Group[] {
  const groups = new Map<string, Group>();
  for (const row of rows) {
    const values = groupBy.map((grouping) => groupValue(row, grouping));
    const key = JSON.stringify(values);
    let group = groups.get(key);
    if (group === undefined) {
      const by = Object.fromEntries(groupBy.map((grouping, at) => [grouping, values[at] ?? ""]));
      const none = Object.fromEntries(ledgerMeasures.map((name) => [name, 0])) as Group["sums"];
      groups.set(key, (group = { by, sums: none }));
    }
    for (const name of ledgerMeasures) group.sums[name] += row[name];
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group);
}

const nanoPerUsd = 1_000_000_000n;

/** Formats nano-USD as an exact decimal number of USD, such as `12.000000001`, with at least two decimals. */
export function usd(nanoUsd: number): string {
  const nano = BigInt(nanoUsd);
  const fraction = String(nano % nanoPerUsd)
    .padStart(9, "0")
    .replace(/0{1,7}$/, "");
  return `${nano / nanoPerUsd}.${fraction.padEnd(2, "0")}`;
}

export const tokensOf = (sums: Group["sums"]): number => sums.promptTokens + sums.completionTokens;
