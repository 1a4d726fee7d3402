/** The first page: traffic, errors, spending and current problems. */
import { type Kind, kindNames } from "../../../crds/kinds.ts";
import type { BudgetReading } from "../../../proxy/config/budget.ts";
import type { LedgerRow } from "../../../proxy/config/ledger.ts";
import { groupRows } from "../../../proxy/config/usage-report.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seriesOf, sumTraffic, type TrafficPoint, type TrafficSum, timeline } from "../statistics.ts";
import { seesUsage, type Viewer } from "../viewer.ts";
import { objectState } from "./conditions.ts";
import { type ConsoleProblem, problemsNow } from "./problems.ts";
import { type ExplainedCall, explainedCalls } from "./requests.ts";

export interface Overview {
  nowMs: number;
  points: TrafficPoint[];
  minute: TrafficSum;
  hour: TrafficSum;
  /** The last seven days in UTC, oldest first, including days without cost. */
  days: { day: string; costNanoUsd: number; requests: number }[];
  problems: ConsoleProblem[];
  objects: { kind: Kind; total: number; amiss: number }[];
  proxies: { total: number; current: number; inFlight: number };
  revision: string;
  recent: ExplainedCall[];
}

const dayMs = 86_400_000;
export const overviewDays = 7;
const recentCalls = 8;

function daysOf(rows: readonly LedgerRow[], nowMs: number): Overview["days"] {
  const groups = new Map(groupRows(rows, ["day"]).map(({ by, sums }) => [by.day, sums]));
  return Array.from({ length: overviewDays }, (_, index) => {
    const day = new Date(nowMs - (overviewDays - 1 - index) * dayMs).toISOString().slice(0, 10);
    const sums = groups.get(day);
    return { day, costNanoUsd: Number(sums?.costNanoUsd ?? 0n), requests: sums?.requests ?? 0 };
  });
}

export function overviewOf(
  facts: ConsoleFacts,
  readings: readonly BudgetReading[],
  rows: readonly LedgerRow[],
  viewer: Viewer,
): Overview {
  const { nowMs, proxies, revision } = facts;
  const calls = seriesOf(facts.activities, "call").filter(({ namespace }) => seesUsage(viewer, namespace));
  const seen = facts.objects.filter(({ kind, meta }) => viewer.sees(kind, meta.namespace)).map(objectState);
  return {
    nowMs,
    points: timeline(calls, nowMs),
    minute: sumTraffic(calls, nowMs, 60_000),
    hour: sumTraffic(calls, nowMs, 3_600_000),
    days: daysOf(
      rows.filter(({ namespace }) => seesUsage(viewer, namespace)),
      nowMs,
    ),
    problems: problemsNow(facts, readings, viewer),
    objects: kindNames.map((kind) => {
      const all = seen.filter((state) => state.kind === kind);
      const amiss = all.filter(({ state }) => state === "failed" || state === "degraded").length;
      return { kind, total: all.length, amiss };
    }),
    proxies: {
      total: proxies.length,
      current: proxies.filter(({ report }) => report !== null && report.revision === revision).length,
      inFlight: proxies.reduce((sum, { report }) => sum + (report?.inFlight ?? 0), 0),
    },
    revision,
    recent: explainedCalls(facts, viewer).slice(0, recentCalls),
  };
}
