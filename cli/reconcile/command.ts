/** `sluice reconcile`: compares the ledger with a provider's bill. */
import { parseArgs } from "node:util";
import { isTimeZone } from "../../proxy/config/periods.ts";
import { UsageError } from "../../proxy/usage-error.ts";
import type { LedgerSpan } from "../ledger.ts";
import { readReport, sourceOptions, sourceUsage } from "../report-source.ts";
import { compareInvoice } from "./compare.ts";
import type { Compared } from "./compared.ts";
import type { Invoice } from "./invoice.ts";
import { asCsv, asJson, asText } from "./output.ts";
import { InvoiceReader, ratesOf } from "./read.ts";

export const reconcileUsage = `sluice reconcile FILE...: compare the usage ledger with what a provider bills, by day and model, and explain
the differences

FILE is an export of usage or costs, as CSV (also .gz) or as JSON of the API; give both if you have both:

  OpenAI     usage and costs, of the dashboard or of /v1/organization/usage/completions and /v1/organization/costs
  Anthropic  usage and cost, of the Console or of /v1/organizations/usage_report/messages and cost_report
  Azure      cost details, as Cost Management exports them
  AWS        Cost and Usage Reports, for Bedrock

  --provider NAME       an LLMProvider as named in the ledger, such as team-a/openai; may be repeated; needed if the ledger
                        has several
  --model INVOICE=NAME  the ledger's name for a model of the invoice; may be repeated
  --rate CODE=USD       what a unit of the invoice's currency is worth, such as EUR=1.08
  --tolerance PERCENT   differences up to this share of the invoice count as none (default 0)
  --time-zone ZONE      of days that an export gives without a zone, such as Azure's (default UTC)
${sourceUsage}
  -o, --output FORMAT   text (default), csv or json; notes on csv and json go to stderr

It exits with 1 if there are differences other than rounding, and with 2 if a file can't be read.`;

const options = {
  ...sourceOptions,
  provider: { type: "string", multiple: true },
  model: { type: "string", multiple: true },
  rate: { type: "string", multiple: true },
  tolerance: { type: "string", default: "0" },
  "time-zone": { type: "string", default: "UTC" },
  output: { type: "string", short: "o", default: "text" },
  help: { type: "boolean" },
} as const;

type Values = ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];

const outputs: Readonly<Record<string, (lines: readonly Compared[]) => string>> = {
  text: asText,
  csv: asCsv,
  json: asJson,
};

/** The largest difference between the start of a day in another zone and in UTC. */
const marginMs = 14 * 3_600_000;

function modelsOf(texts: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const [, theirs, ours] = /^([^=]+)=(.+)$/.exec(text) ?? [];
      if (theirs === undefined || ours === undefined)
        throw new UsageError(
          `--model must be the invoice's name and the ledger's, such as gpt-4o-eu=gpt-4o, not ${text}`,
        );
      return [theirs.toLowerCase(), ours];
    }),
  );
}

function shareOf(text: string): number {
  if (!/^\d{1,2}(\.\d{1,6})?$/.test(text))
    throw new UsageError(`--tolerance must be a percentage below 100, such as 0.5, not ${text}`);
  return Number(text) / 100;
}

async function readInvoice(files: readonly string[], values: Values): Promise<Invoice> {
  const reader = new InvoiceReader({ rates: ratesOf(values.rate ?? []), timeZone: values["time-zone"] });
  for (const file of files) await reader.read(file);
  return reader.done();
}

/** The rows of the invoice's providers. */
function rowsOfProviders(ledger: LedgerSpan, names: readonly string[] | undefined): LedgerSpan["rows"] {
  const known = [...new Set(ledger.rows.map(({ provider }) => provider))].filter((name) => name !== "").sort();
  if (names === undefined) {
    if (known.length > 1)
      throw new UsageError(
        `the ledger has calls of several providers: give those that the invoice is of with --provider (${known.join(", ")})`,
      );
    return ledger.rows;
  }
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UsageError(
      `the ledger has no calls of the provider ${unknown} in this time; it has ${known.join(", ") || "none"}`,
    );
  return ledger.rows.filter(({ provider }) => names.includes(provider));
}

function notesOfLedger(ledger: LedgerSpan, fromMs: number): string[] {
  const { keptFromMs } = ledger;
  const isShort = keptFromMs !== null && fromMs < keptFromMs;
  return [
    ...(isShort
      ? [`the ledger keeps nothing before ${new Date(keptFromMs).toISOString()}: earlier use is missing`]
      : []),
    ...ledger.missing.map((why) => `warning: use is missing: ${why}`),
  ];
}

export async function runReconcile(args: readonly string[]): Promise<void> {
  const { values, positionals: files } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (values.help) {
    process.stdout.write(`${reconcileUsage}\n`);
    return;
  }
  const render = Object.hasOwn(outputs, values.output) ? outputs[values.output] : undefined;
  if (render === undefined) throw new UsageError(`--output must be text, csv or json, not ${values.output}`);
  if (files.length === 0) throw new UsageError("give a file: what a provider exports of usage or costs");
  if (!isTimeZone(values["time-zone"]))
    throw new UsageError(`--time-zone must be an IANA time zone, such as Europe/Berlin, not ${values["time-zone"]}`);
  const how = { models: modelsOf(values.model ?? []), toleranceShare: shareOf(values.tolerance) };
  const { lines, notes } = await readInvoice(files, values);
  if (lines.length === 0) throw new UsageError(["the invoice has no usage of models", ...notes].join("; "));
  const fromMs = lines.reduce((least, { startMs }) => Math.min(least, startMs), Number.POSITIVE_INFINITY);
  const toMs = lines.reduce((most, { endMs }) => Math.max(most, endMs), 0);
  const span = { from: new Date(fromMs - marginMs).toISOString(), to: new Date(toMs + marginMs).toISOString() };
  const { ledger } = await readReport({ ...values, ...span }, false);
  const compared = compareInvoice(lines, rowsOfProviders(ledger, values.provider), how);
  process.stdout.write(`${render(compared)}\n`);
  const out = values.output === "text" ? process.stdout : process.stderr;
  for (const note of [...notes, ...notesOfLedger(ledger, fromMs)]) out.write(`${note}\n`);
  const isDifferent = compared.some(({ causes }) => causes.some(({ kind }) => kind !== "rounding"));
  if (isDifferent) process.exitCode = 1;
}
