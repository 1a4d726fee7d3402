/** `sluice ledger export` and `sluice ledger forget`: the usage ledger, row by row. */

import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { csvLine } from "../operator/csv.ts";
import type { LedgerRow } from "../proxy/config/ledger.ts";
import { nounCount } from "../proxy/config/noun-count.ts";
import { type Currency, exportedRow } from "../proxy/config/usage-report.ts";
import { UsageError } from "../proxy/usage-error.ts";
import { readLedgers, renameInLedgers } from "./ledger.ts";
import { ledgersOf, placeOptions, placeUsage, spanOf, spanOptions, spanUsage } from "./report-options.ts";

const exportUsage = `sluice ledger export: print the rows of the usage ledger, one for each hour, caller, model and provider

${placeUsage}
${spanUsage}
  -o, --output FORMAT   csv (default) or jsonl, one object per line; notes go to stderr`;

const forgetUsage = `sluice ledger forget --user USER: replace a user's name, and the names of its keys, in the usage ledger

  --user USER           as reports show it
  -n, --namespace NS    only in this namespace (default: everywhere)
  --as NAME             the replacement (default: erased- and random letters)
${placeUsage.replace("sluice-reports", "sluice-erasure")}

Sums stay as they are. docs/reports.md names the other places in which a user's name is kept.`;

const ledgerUsage = `${exportUsage}\n\n${forgetUsage}`;

/** Rows are read a day at a time, so that any span fits in memory. */
const stepMs = 86_400_000;

interface Export {
  print(row: LedgerRow, currency: Currency | null): void;
}

/** `csv`: CSV with a header line; otherwise JSON lines. */
function exporter(csv: boolean): Export {
  let isFirst = true;
  return {
    print(row, currency) {
      const line = exportedRow(row, currency);
      if (csv && isFirst) process.stdout.write(`${csvLine(Object.keys(line))}\r\n`);
      isFirst = false;
      process.stdout.write(csv ? `${csvLine(Object.values(line))}\r\n` : `${JSON.stringify(line)}\n`);
    },
  };
}

async function exportRows(args: readonly string[]): Promise<void> {
  const options = { ...placeOptions, ...spanOptions, output: { type: "string", short: "o", default: "csv" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (!["csv", "jsonl"].includes(values.output))
    throw new UsageError(`--output must be csv or jsonl, not ${values.output}`);
  const { fromMs, toMs } = spanOf(values, Date.now());
  const ledgers = await ledgersOf(values);
  const out = exporter(values.output === "csv");
  const notes = new Set<string>();
  let keptFromMs: number | null = null;
  for (let startMs = fromMs; startMs < toMs; ) {
    const endMs = Math.min(toMs, startMs + stepMs);
    const span = await readLedgers(ledgers, { fromMs: startMs, toMs: endMs, facts: false });
    for (const row of span.rows) out.print(row, span.currency);
    for (const why of span.missing) notes.add(`warning: use is missing: ${why}`);
    keptFromMs ??= span.keptFromMs;
    // Skips days that the ledger no longer keeps.
    startMs = keptFromMs === null ? endMs : Math.max(endMs, Math.min(toMs, keptFromMs - (keptFromMs % stepMs)));
  }
  if (keptFromMs !== null && fromMs < keptFromMs)
    notes.add(`the ledger keeps nothing before ${new Date(keptFromMs).toISOString()}`);
  for (const note of notes) process.stderr.write(`${note}\n`);
}

async function forget(args: readonly string[]): Promise<void> {
  const options = {
    ...placeOptions,
    user: { type: "string" },
    namespace: { type: "string", short: "n" },
    as: { type: "string" },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  const { user, namespace = null, as: replacement = `erased-${randomBytes(6).toString("hex")}` } = values;
  if (user === undefined || user === "")
    throw new UsageError("name the user to forget: --user USER, as reports show it");
  if (replacement === "" || replacement === user) throw new UsageError("--as must be a name, and not the present one");
  const rows = await renameInLedgers(await ledgersOf(values), { user, namespace, replacement });
  if (rows === 0)
    throw new Error(`the ledger has no row of the user ${user}${namespace === null ? "" : ` in ${namespace}`}`);
  process.stdout.write(`${nounCount(rows, "row")} of ${user} renamed to ${replacement}\n`);
}

export async function runLedger([command, ...args]: readonly string[]): Promise<void> {
  if (command === "--help" || command === undefined || args.includes("--help")) {
    const usages: Record<string, string> = { export: exportUsage, forget: forgetUsage };
    process.stdout.write(`${usages[command ?? ""] ?? ledgerUsage}\n`);
    return;
  }
  if (command === "export") return exportRows(args);
  if (command === "forget") return forget(args);
  throw new UsageError(`sluice ledger takes export or forget, not ${command}`);
}
