/** Spending, from the usage ledger. */
import type { LedgerRow } from "../../../proxy/config/ledger.ts";
import { type Group, type Grouping, groupRows, type Sums, usd } from "../../../proxy/config/usage-report.ts";
import { csvLine } from "../../csv.ts";
import { seesUsage, type Viewer } from "../viewer.ts";

export const costGroupings = ["user", "team", "model", "provider", "key", "namespace", "route", "role"] as const;
export type CostGrouping = (typeof costGroupings)[number];

export const costPeriods = { "24h": 1, "7d": 7, "30d": 30, "90d": 90 } as const;
export type CostPeriod = keyof typeof costPeriods;

export interface CostRow {
  name: string;
  requests: number;
  errors: number;
  promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  costNanoUsd: number;
}

export interface CostView {
  by: CostGrouping;
  period: CostPeriod;
  rows: CostRow[];
  /** Number of rows before the list was cut. */
  total: number;
  sum: CostRow;
  unpriced: number;
  estimated: number;
  /** Hours for a day, days for more; in UTC, gaps filled. */
  points: { at: string; costNanoUsd: number }[];
}

const hourMs = 3_600_000;
const maxRows = 200;

export function costSpan(period: CostPeriod, nowMs: number): { fromMs: number; toMs: number } {
  const stepMs = period === "24h" ? hourMs : 24 * hourMs;
  const steps = period === "24h" ? 24 : costPeriods[period];
  const toMs = Math.floor(nowMs / stepMs) * stepMs + stepMs;
  return { fromMs: toMs - steps * stepMs, toMs };
}

/** Pages show cents, so the nearest floating-point number is accurate enough. */
const costRow = (name: string, sums: Sums): CostRow => ({
  name,
  requests: sums.requests,
  errors: sums.errors,
  promptTokens: sums.promptTokens,
  cachedTokens: sums.cachedTokens,
  completionTokens: sums.completionTokens,
  costNanoUsd: Number(sums.costNanoUsd),
});

function pointsOf(rows: readonly LedgerRow[], period: CostPeriod, nowMs: number): CostView["points"] {
  const grouping: Grouping = period === "24h" ? "hour" : "day";
  const stepMs = period === "24h" ? hourMs : 24 * hourMs;
  const sums = new Map(groupRows(rows, [grouping]).map((group) => [group.by[grouping], group.sums.costNanoUsd]));
  const { fromMs, toMs } = costSpan(period, nowMs);
  const points: CostView["points"] = [];
  for (let ms = fromMs; ms < toMs; ms += stepMs) {
    const time = new Date(ms).toISOString().slice(0, period === "24h" ? 13 : 10);
    points.push({ at: time, costNanoUsd: Number(sums.get(time) ?? 0n) });
  }
  return points;
}

/** Groups by cost, the highest first. */
const ranked = (rows: readonly LedgerRow[], by: CostGrouping): Group[] =>
  groupRows(rows, [by]).sort(
    ({ sums: a }, { sums: b }) => Number(b.costNanoUsd - a.costNanoUsd) || b.requests - a.requests,
  );

export function costView(
  all: readonly LedgerRow[],
  { by, period }: { by: CostGrouping; period: CostPeriod },
  viewer: Viewer,
  nowMs: number,
): CostView {
  const rows = all.filter(({ namespace }) => seesUsage(viewer, namespace));
  const groups = ranked(rows, by);
  const [whole] = groupRows(rows, []);
  const none = { requests: 0, errors: 0, promptTokens: 0, cachedTokens: 0, completionTokens: 0, costNanoUsd: 0 };
  return {
    by,
    period,
    rows: groups.slice(0, maxRows).map((group) => costRow(group.by[by] ?? "", group.sums)),
    total: groups.length,
    sum: whole === undefined ? { name: "", ...none } : costRow("", whole.sums),
    unpriced: whole?.sums.unpriced ?? 0,
    estimated: whole?.sums.estimated ?? 0,
    points: pointsOf(rows, period, nowMs),
  };
}

/** All groups, as CSV (RFC 4180). */
export function costCsv(all: readonly LedgerRow[], by: CostGrouping, viewer: Viewer): string {
  const groups = ranked(
    all.filter(({ namespace }) => seesUsage(viewer, namespace)),
    by,
  );
  const head = [by, "requests", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost_usd"];
  const lines = groups.map(({ by: names, sums }) =>
    csvLine([
      names[by] ?? "",
      ...[sums.requests, sums.errors, sums.promptTokens, sums.cachedTokens, sums.completionTokens],
      usd(sums.costNanoUsd),
    ]),
  );
  return `${[csvLine(head), ...lines].join("\r\n")}\r\n`;
}
