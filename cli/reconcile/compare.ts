/** Compares an invoice with the ledger, by day and model, and gives possible causes of differences. Pure. */
import type { LedgerRow } from "../../proxy/config/ledger.ts";
import { addTo, noSums } from "../../proxy/config/usage-report.ts";
import { UsageError } from "../../proxy/usage-error.ts";
import { causesOf, shiftOf } from "./causes.ts";
import type { Billed, Compared } from "./compared.ts";
import { dayMs, type InvoiceLine, tokenKinds } from "./invoice.ts";
import { ledgerNames } from "./names.ts";

export interface CompareOptions {
  /** The ledger's names of models, by the invoice's in lower case. */
  models: ReadonlyMap<string, string>;
  /** Differences up to this share of the invoice count as none. */
  toleranceShare: number;
}

interface Bucket {
  startMs: number;
  endMs: number;
}

/** Days aligned with the invoice's, or the invoice's own periods if they are longer. */
function bucketsOf(lines: readonly InvoiceLine[]): (line: InvoiceLine) => Bucket {
  const isLong = lines.some(({ startMs, endMs }) => endMs - startMs > 25 * 3_600_000);
  if (isLong) {
    const sorted = lines.toSorted((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
    for (const [index, line] of sorted.entries()) {
      const before = sorted[index - 1];
      const isSame = before?.startMs === line.startMs && before.endMs === line.endMs;
      if (before !== undefined && !isSame && line.startMs < before.endMs)
        throw new UsageError("periods of the invoice overlap: give exports of the same days");
    }
    return ({ startMs, endMs }) => ({ startMs, endMs });
  }
  // In zones with daylight saving time, not all days have 24 hours, so each keeps its own bounds.
  const days = lines.filter(({ startMs, endMs }) => endMs - startMs >= 23 * 3_600_000);
  const bounds = new Map(days.map(({ startMs, endMs }) => [startMs, endMs]));
  const offsets = new Set(days.map(({ startMs }) => startMs % dayMs));
  const offsetMs = offsets.size === 1 ? ([...offsets][0] ?? 0) : 0;
  return (line) => {
    const own = bounds.get(line.startMs);
    if (own !== undefined) return { startMs: line.startMs, endMs: own };
    const startMs = line.startMs - ((line.startMs - offsetMs) % dayMs);
    return { startMs, endMs: startMs + dayMs };
  };
}

const noBill = (): Billed => ({ requests: null, tokens: null, costNano: null, roundingNano: 0n });

function bill(billed: Billed, { requests, tokens, cost }: InvoiceLine): void {
  if (requests !== undefined) billed.requests = (billed.requests ?? 0) + requests;
  if (tokens !== undefined) {
    billed.tokens ??= { uncached: 0, cached: 0, cacheWrite: 0, output: 0 };
    for (const kind of tokenKinds) billed.tokens[kind] += tokens[kind] ?? 0;
  }
  if (cost === undefined) return;
  billed.costNano = (billed.costNano ?? 0n) + cost.nano;
  billed.roundingNano += cost.halfUnitNano;
}

const keyOf = ({ startMs }: Bucket, model: string): string => `${new Date(startMs).toISOString()} ${model}`;

const isUse = (row: LedgerRow): boolean =>
  row.costNanoUsd > 0 || row.promptTokens > 0 || row.completionTokens > 0 || row.unpriced > 0;

/** Returns every day and model of either side, in that order. `rows` may begin before the invoice and end after it. */
export function compareInvoice(
  lines: readonly InvoiceLine[],
  rows: readonly LedgerRow[],
  { models, toleranceShare }: CompareOptions,
): Compared[] {
  const bucketOf = bucketsOf(lines);
  const used = rows.filter(isUse);
  const nameOf = ledgerNames([...new Set(used.map(({ model }) => model))], models);
  const buckets = new Map<number, Bucket>();
  const all = new Map<string, Compared>();
  const comparedOf = (bucket: Bucket, model: string): Compared => {
    const key = keyOf(bucket, model);
    let compared = all.get(key);
    if (compared === undefined) all.set(key, (compared = { ...bucket, model, billed: null, ledger: null, causes: [] }));
    return compared;
  };
  for (const line of lines) {
    const bucket = bucketOf(line);
    buckets.set(bucket.startMs, bucket);
    bill((comparedOf(bucket, nameOf(line.model)).billed ??= noBill()), line);
  }
  const sorted = [...buckets.values()].sort((a, b) => a.startMs - b.startMs);
  const inBucket = (ms: number): Bucket | undefined =>
    sorted.findLast(({ startMs, endMs }) => startMs <= ms && ms < endMs);
  // A name that the ledger has keeps its own entry, so that similar models stay separate.
  for (const row of used) {
    const bucket = inBucket(row.hourMs);
    if (bucket !== undefined) addTo((comparedOf(bucket, row.model).ledger ??= noSums()), row);
  }
  const compared = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, compared]) => compared);
  const shifts = new Map<string, number | null>();
  for (const line of compared) {
    line.causes = causesOf(line, toleranceShare);
    if (line.causes.length === 0) continue;
    if (!shifts.has(line.model)) shifts.set(line.model, shiftOf(line.model, compared, used));
    const shiftHours = shifts.get(line.model) ?? null;
    if (shiftHours !== null) line.causes.unshift({ kind: "time-zone", shiftHours });
  }
  return compared;
}
