/** Reports as tables, CSV and JSON: the same columns, names and notes in each. Pure. */

import { csvLine } from "../operator/csv.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import { type Currency, figuresOf, type Group, type Grouping } from "../proxy/config/usage-report.ts";
import type { LedgerSpan } from "./ledger.ts";
import type { ReportSpan } from "./report-options.ts";

export interface Report {
  groupBy: readonly Grouping[];
  groups: readonly Group[];
  /** The total of the span, including groups that aren't shown; null if nothing was used. */
  total: Group["sums"] | null;
  currency: Currency | null;
  notes: readonly string[];
}

type Line = Record<string, string | number>;

const linesOf = ({ groups, currency }: Report): Line[] =>
  groups.map(({ by, sums }) => ({ ...by, ...figuresOf(sums, currency) }));

function headOf({ groupBy, total, groups, currency }: Report): string[] {
  const sums = total ?? groups[0]?.sums;
  const figures = sums === undefined ? [] : Object.keys(figuresOf(sums, currency));
  return [...groupBy, ...figures];
}

/** For calls refused before the value was known, and for callers without one. */
const noValue = "(none)";

function asTable(report: Report): string {
  const head = headOf(report);
  const { groupBy, total, currency } = report;
  const label = Object.fromEntries(groupBy.map((name, index) => [name, index === 0 ? "total" : ""]));
  const lines = [
    head.map((name) => name.toUpperCase()),
    ...linesOf(report).map((line) => head.map((name) => String(line[name] ?? "") || noValue)),
    ...(total === null ? [] : [head.map((name) => String({ ...label, ...figuresOf(total, currency) }[name] ?? ""))]),
  ];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  const pad = (cell: string, column: number): string =>
    column < groupBy.length ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return [...lines.map((line) => line.map(pad).join("   ").trimEnd()), ...report.notes].join("\n");
}

/** Returns what goes to stdout and to stderr: only a table can hold notes. */
export function rendered(report: Report, output: string): { out: string; notes: readonly string[] } {
  if (output === "table") return { out: asTable(report), notes: [] };
  const head = headOf(report);
  const lines = linesOf(report);
  const csv = (): string =>
    [csvLine(head), ...lines.map((line) => csvLine(head.map((name) => line[name] ?? "")))].join("\r\n");
  return { out: output === "csv" ? csv() : JSON.stringify(lines, null, 2), notes: report.notes };
}

/** Whether days of this zone begin within an hour of the ledger. */
const splitsHours = ({ fromMs, toMs, timeZone }: ReportSpan): boolean => {
  const minutes = new Intl.DateTimeFormat("en-US", { timeZone, minute: "2-digit" });
  return [fromMs, toMs].some((edgeMs) => Number(minutes.format(edgeMs - (edgeMs % 3_600_000))) !== 0);
};

/** What a reader must know about the figures. */
export function notesOf(
  span: ReportSpan,
  ledger: LedgerSpan,
  { groupBy, total }: Pick<Report, "groupBy" | "total">,
  named: boolean,
): string[] {
  const notes: string[] = [];
  if (total === null) notes.push("nothing was used in this time");
  if (total !== null && total.unpriced > 0)
    notes.push(`not in the cost: ${nounCount(total.unpriced, "request")} of models without a price`);
  if (total !== null && total.estimated > 0)
    notes.push(`with estimated tokens: ${nounCount(total.estimated, "request")}`);
  if (groupBy.includes("tag"))
    notes.push("a key with several tags counts under each of them; the total counts it once");
  if (ledger.keptFromMs !== null && span.fromMs < ledger.keptFromMs)
    notes.push(
      `the ledger keeps nothing before ${new Date(ledger.keptFromMs).toISOString()}: earlier use is missing; state.ledgerDays sets how long it is kept`,
    );
  if (splitsHours(span))
    notes.push(
      `the ledger counts whole UTC hours: those in which a day of ${span.timeZone} begins count to the day before`,
    );
  if (ledger.single && named)
    notes.push(
      "this is the ledger of one proxy; give --url for each proxy, or --system-namespace, if there are others",
    );
  return [...notes, ...ledger.missing.map((why) => `warning: use is missing: ${why}`)];
}
