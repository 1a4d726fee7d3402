/** The source of reports: proxies, or files written by `sluice ledger export`. */
import { UsageError } from "../proxy/usage-error.ts";
import { type LedgerSpan, readLedgers } from "./ledger.ts";
import {
  type LedgerPlace,
  ledgersOf,
  placeOptions,
  placeUsage,
  type ReportSpan,
  type SpanValues,
  spanOf,
} from "./report-options.ts";
import { readUsage } from "./usage/read.ts";

export const sourceUsage = `${placeUsage}, or
  --ledger FILE         what sluice ledger export wrote, as CSV or JSON lines; - for standard input; may be repeated`;

export const sourceOptions = { ...placeOptions, ledger: { type: "string", multiple: true } } as const;

type SourceValues = LedgerPlace & SpanValues & { ledger?: string[] | undefined };

const hourMs = 3_600_000;

async function readFiles(
  files: readonly string[],
  values: SpanValues,
): Promise<{ span: ReportSpan; ledger: LedgerSpan }> {
  const all = (await Promise.all(files.map(readUsage))).flat();
  const hours = all.map((row) => row.hourMs);
  const { period, from, to } = values;
  // If no span is given, that of the files is used.
  const isWhole = period === undefined && from === undefined && to === undefined && all.length > 0;
  const span = isWhole
    ? {
        ...spanOf({ ...values, period: "1h" }, Date.now()),
        fromMs: hours.reduce((least, ms) => Math.min(least, ms)),
        toMs: hours.reduce((most, ms) => Math.max(most, ms)) + hourMs,
      }
    : spanOf(values, Date.now());
  const rows = all.filter((row) => row.hourMs >= span.fromMs - (span.fromMs % hourMs) && row.hourMs < span.toMs);
  return { span, ledger: { rows, keys: {}, currency: null, keptFromMs: null, single: false, missing: [] } };
}

/** `facts`: whether to read tags and labels of keys as well, which files don't have. */
export async function readReport(
  values: SourceValues,
  facts: boolean,
): Promise<{ span: ReportSpan; ledger: LedgerSpan }> {
  const { ledger: files, ...place } = values;
  if (files === undefined) {
    const span = spanOf(values, Date.now());
    return { span, ledger: await readLedgers(await ledgersOf(place), { ...span, facts }) };
  }
  if (values.url !== undefined || values["system-namespace"] !== undefined || values.kubeconfig !== undefined)
    throw new UsageError("give --ledger, or --url or --system-namespace, not both");
  return readFiles(files, values);
}
