/** Budgets: how much of each is spent, by whom, and when it will be used up at the current pace. */
import type { BudgetConfig, BudgetReading } from "../../../proxy/config/budget.ts";
import type { KeyRecord } from "../../../proxy/config/key-record.ts";
import type { LedgerRow } from "../../../proxy/config/ledger.ts";
import { allowsModel } from "../../../proxy/config/model-pattern.ts";
import { periodAt } from "../../../proxy/config/periods.ts";
import type { ConsoleFacts } from "../gather.ts";
import { seesObject, type Viewer } from "../viewer.ts";

export interface BudgetRow {
  id: string;
  period: BudgetConfig["period"];
  enforcement: BudgetConfig["enforcement"];
  per: BudgetConfig["per"];
  scope: string[];
  /** The amount of each group, if there are groups. */
  amountNanoUsd: number;
  /** Spent by the group that spent most, or by all if there are no groups. */
  spentNanoUsd: number;
  totalNanoUsd: number;
  periodStartMs: number;
  resetsAtMs: number | null;
  /** The forecast at the current pace; null if too little time has passed, or if the period doesn't end. */
  forecastNanoUsd: number | null;
  emptyAtMs: number | null;
  /** ahead: spending is ahead of time, so the budget will be used up before the period ends. */
  state: "used up" | "ahead" | "fine" | "unknown";
  groups: { subject: string; spentNanoUsd: number }[];
  groupCount: number;
  refused: string[];
  /** Total spent by the end of each hour, from the usage ledger. Empty if there are groups. */
  burn: [number, number][];
}

const hourMs = 3_600_000;
/** Least share of a period for a forecast: less says little about the rest. */
const tellingShare = 0.02;
const maxGroups = 20;

function scopeOf({ scope }: BudgetConfig): string[] {
  const names = (what: string, all: readonly string[] | null): string[] =>
    all === null ? [] : [`${what} ${all.slice(0, 4).join(", ")}${all.length > 4 ? ` and ${all.length - 4} more` : ""}`];
  return [
    ...names("users", scope.users),
    ...names("teams", scope.teams),
    ...names("roles", scope.roles),
    ...names("tags", scope.tags),
    ...names("models", scope.models),
    ...names("providers", scope.providers),
    ...names("keys", scope.apiKeys),
    ...(scope.selected ? ["keys by selector"] : []),
  ];
}

/** Whether a row of the ledger counts under a budget. */
export function countsUnder(
  { namespace, scope, id }: BudgetConfig,
  row: LedgerRow,
  key: KeyRecord | undefined,
): boolean {
  const within = (all: readonly string[] | null, name: string): boolean => all === null || all.includes(name);
  return (
    row.namespace === namespace &&
    within(scope.users, row.user) &&
    within(scope.teams, row.team) &&
    within(scope.roles, row.role) &&
    allowsModel(scope.models, row.model) &&
    within(scope.providers, row.provider) &&
    within(scope.apiKeys, row.key) &&
    (scope.tags === null || (key?.tags.some((tag) => scope.tags?.includes(tag)) ?? false)) &&
    (!scope.selected || (key?.budgets?.includes(id) ?? false))
  );
}

function burnOf(rows: readonly LedgerRow[], startMs: number, nowMs: number): [number, number][] {
  const byHour = new Map<number, number>();
  for (const row of rows) byHour.set(row.hourMs, (byHour.get(row.hourMs) ?? 0) + row.costNanoUsd);
  let sum = 0;
  const points: [number, number][] = [[startMs, 0]];
  for (const hour of [...byHour.keys()].sort((a, b) => a - b)) {
    sum += byHour.get(hour) ?? 0;
    points.push([Math.min(hour + hourMs, nowMs), sum]);
  }
  return points;
}

function paceOf(
  spent: number,
  amount: number,
  { periodStartMs, resetsAtMs }: Pick<BudgetReading, "periodStartMs" | "resetsAtMs">,
  nowMs: number,
): Pick<BudgetRow, "forecastNanoUsd" | "emptyAtMs"> {
  if (resetsAtMs === null || spent <= 0) return { forecastNanoUsd: null, emptyAtMs: null };
  const passed = nowMs - periodStartMs;
  const whole = resetsAtMs - periodStartMs;
  if (passed < tellingShare * whole) return { forecastNanoUsd: null, emptyAtMs: null };
  const emptyAtMs = Math.round(periodStartMs + (passed * amount) / spent);
  return {
    forecastNanoUsd: Math.round((spent * whole) / passed),
    emptyAtMs: emptyAtMs < resetsAtMs ? emptyAtMs : null,
  };
}

const stateOf = (amount: number, spent: number, refused: number, emptyAtMs: number | null): BudgetRow["state"] =>
  spent >= amount || refused > 0 ? "used up" : emptyAtMs !== null ? "ahead" : "fine";

/** `rows`: rows of the usage ledger that count under it. */
export function budgetView(
  config: BudgetConfig,
  reading: BudgetReading | undefined,
  rows: readonly LedgerRow[],
  nowMs: number,
): BudgetRow {
  const { id, period, enforcement, per } = config;
  const amountNanoUsd = config.amountNanoUsd ?? 0;
  const empty = { id, period, enforcement, per, scope: scopeOf(config), amountNanoUsd };
  if (reading === undefined) {
    const { startMs, endMs } = periodAt(period, config.timeZone, nowMs);
    const span = { periodStartMs: startMs, resetsAtMs: endMs, forecastNanoUsd: null, emptyAtMs: null };
    const nothing = { spentNanoUsd: 0, totalNanoUsd: 0, groups: [], groupCount: 0, refused: [], burn: [] };
    return { ...empty, ...span, ...nothing, state: "unknown" };
  }
  const { periodStartMs, resetsAtMs, groupCount, refused } = reading;
  const groups = reading.groups.toSorted((a, b) => b.spentNanoUsd - a.spentNanoUsd);
  const spentNanoUsd = per === null ? reading.spentNanoUsd : (groups[0]?.spentNanoUsd ?? 0);
  const pace = paceOf(spentNanoUsd, amountNanoUsd, reading, nowMs);
  return {
    ...empty,
    spentNanoUsd,
    totalNanoUsd: reading.spentNanoUsd,
    periodStartMs,
    resetsAtMs,
    ...pace,
    state: stateOf(amountNanoUsd, spentNanoUsd, refused.length, pace.emptyAtMs),
    groups: groups.slice(0, maxGroups).filter(({ subject }) => subject !== ""),
    groupCount,
    refused: refused.slice(0, maxGroups),
    burn: per === null ? burnOf(rows, periodStartMs, nowMs) : [],
  };
}

/** Start of the earliest current period of these budgets, at most 35 days ago. */
export function earliestPeriodMs(budgets: readonly BudgetConfig[], nowMs: number): number {
  const starts = budgets.map(({ period, timeZone }) => periodAt(period, timeZone, nowMs).startMs);
  return Math.max(nowMs - 35 * 24 * hourMs, Math.min(nowMs, ...starts));
}

export const visibleBudgets = (facts: ConsoleFacts, viewer: Viewer): BudgetConfig[] =>
  (facts.config?.budgets ?? []).filter(
    ({ id, amountNanoUsd }) => amountNanoUsd !== null && seesObject(viewer, "Budget", id),
  );

export function budgetsView(
  facts: ConsoleFacts,
  readings: readonly BudgetReading[],
  rows: readonly LedgerRow[],
  viewer: Viewer,
): { budgets: BudgetRow[] } {
  const keys = new Map((facts.config?.keys ?? []).map((key) => [key.id, key]));
  const budgets = visibleBudgets(facts, viewer).map((config) => {
    const reading = readings.find(({ id }) => id === config.id);
    const fromMs = reading?.periodStartMs ?? 0;
    const covered = rows.filter((row) => row.hourMs >= fromMs && countsUnder(config, row, keys.get(row.key)));
    return budgetView(config, reading, covered, facts.nowMs);
  });
  const urgency: BudgetRow["state"][] = ["used up", "ahead", "fine", "unknown"];
  return {
    budgets: budgets.sort((a, b) => urgency.indexOf(a.state) - urgency.indexOf(b.state) || (a.id < b.id ? -1 : 1)),
  };
}
