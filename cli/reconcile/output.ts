/** Comparisons of an invoice with the ledger, as text, CSV and JSON. Pure. */
import { csvLine } from "../../operator/csv.ts";
import { tokensOf } from "../../proxy/config/usage-report.ts";
import { textTable } from "../tables.ts";
import { sentenceOf, signedUsd } from "./causes.ts";
import type { Compared } from "./compared.ts";

const dayForm = (ms: number): string =>
  new Date(ms)
    .toISOString()
    .replace(/T00:00:00.000Z$/, "")
    .replace(".000Z", "Z");

const invoiceTokens = ({ billed }: Compared): number | null => {
  const tokens = billed?.tokens ?? null;
  return tokens === null ? null : tokens.uncached + tokens.cached + tokens.cacheWrite + tokens.output;
};

/** Costs can be compared if both sides have them, or if one side has no usage at all. */
const differenceOf = ({ billed, ledger }: Compared): bigint | null =>
  billed !== null && billed.costNano === null ? null : (billed?.costNano ?? 0n) - (ledger?.costNanoUsd ?? 0n);

const money = (nano: bigint | null | undefined): string => (nano === null || nano === undefined ? "" : signedUsd(nano));

function figuresOfLine(line: Compared): Record<string, string | number> {
  const { billed, ledger } = line;
  return {
    from: new Date(line.startMs).toISOString(),
    to: new Date(line.endMs).toISOString(),
    model: line.model,
    invoice_requests: billed?.requests ?? "",
    ledger_requests: ledger?.requests ?? 0,
    invoice_tokens: invoiceTokens(line) ?? "",
    ledger_tokens: ledger === null ? 0 : tokensOf(ledger),
    invoice_usd: money(billed?.costNano),
    ledger_usd: signedUsd(ledger?.costNanoUsd ?? 0n),
    difference_usd: money(differenceOf(line)),
    causes: line.causes.map(({ kind }) => kind).join("; "),
  };
}

const head = [
  "from",
  "to",
  "model",
  "invoice_requests",
  "ledger_requests",
  "invoice_tokens",
  "ledger_tokens",
  "invoice_usd",
  "ledger_usd",
  "difference_usd",
  "causes",
];

export const asCsv = (lines: readonly Compared[]): string =>
  [csvLine(head), ...lines.map((line) => csvLine(Object.values(figuresOfLine(line))))].join("\r\n");

export const asJson = (lines: readonly Compared[]): string =>
  JSON.stringify(
    lines.map((line) => ({
      ...figuresOfLine(line),
      causes: line.causes.map((cause) => ({ cause: cause.kind, why: sentenceOf(cause) })),
    })),
    null,
    2,
  );

const totalOfLines = (lines: readonly Compared[], of: (line: Compared) => bigint | null | undefined): bigint =>
  lines.reduce((sum, line) => sum + (of(line) ?? 0n), 0n);

/** Both sides of a line, in USD or, without costs, in tokens. */
function sidesOf(line: Compared, hasCosts: boolean): string[] {
  const here = line.ledger === null ? 0 : tokensOf(line.ledger);
  const there = invoiceTokens(line) ?? 0;
  if (!hasCosts) return [there, here, there - here].map(String);
  const billed = line.billed === null ? 0n : line.billed.costNano;
  return [money(billed), signedUsd(line.ledger?.costNanoUsd ?? 0n), money(differenceOf(line))];
}

const summary = (lines: readonly Compared[], hasCosts: boolean): string => {
  if (!hasCosts) return "The export has no costs: only tokens were compared.";
  const invoice = totalOfLines(lines, ({ billed }) => billed?.costNano);
  const ledger = totalOfLines(lines, (line) => line.ledger?.costNanoUsd);
  return `The invoice has USD ${signedUsd(invoice)}, the ledger USD ${signedUsd(ledger)}: a difference of USD ${signedUsd(invoice - ledger)}.`;
};

/** Lines that agree are only counted. */
export function asText(lines: readonly Compared[]): string {
  const differing = lines.filter(({ causes }) => causes.length > 0);
  const hasCosts = lines.some(({ billed }) => billed !== null && billed.costNano !== null);
  const unit = hasCosts ? "USD" : "TOKENS";
  const rows = differing.map((line) => [
    dayForm(line.startMs),
    line.model,
    ...sidesOf(line, hasCosts),
    line.causes.map(({ kind }) => kind).join("; "),
  ]);
  const table = textTable([["FROM", "MODEL", `INVOICE ${unit}`, `LEDGER ${unit}`, "DIFFERENCE", "CAUSE"], ...rows]);
  const why = differing.flatMap((line) =>
    line.causes.map((cause) => `${dayForm(line.startMs)} ${line.model}: ${sentenceOf(cause)}`),
  );
  const agree = `${lines.length - differing.length} of ${lines.length} days and models agree.`;
  return [...(differing.length > 0 ? [table, "", ...why, ""] : []), agree, summary(lines, hasCosts)].join("\n");
}
