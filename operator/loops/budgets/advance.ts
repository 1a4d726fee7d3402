/**
 * The state of a Budget, from what proxies report and from its state before. Pure. Within a period nothing that was
 * spent is forgotten, whatever store or proxy has lost its memory since.
 */
import type { BudgetReadings } from "../../../proxy/config/budget.ts";
import type { BudgetRules } from "../../compile/budgets.ts";
import { crossingsOf, withoutUncrossed } from "./crossings.ts";
import { openIncidents } from "./incidents.ts";
import { isoTime, nanoOfText, usdText } from "./money.ts";
import type { BudgetState } from "./state.ts";

const maxGroups = 100;
const maxHistory = 14;

const reached = (reports: readonly BudgetReadings[], id: string) =>
  reports.flatMap(({ shared, budgets }) =>
    budgets.filter((budget) => budget.id === id).map((budget) => ({ ...budget, shared })),
  );

/** Proxies that share a store report the same money; those with a store each, their own. */
function mergedGroups(readings: ReturnType<typeof reached>): Map<string, number> {
  const shared = new Map<string, number>();
  const apart = new Map<string, number>();
  for (const reading of readings)
    for (const { subject, spentNanoUsd } of reading.groups) {
      if (reading.shared) shared.set(subject, Math.max(shared.get(subject) ?? 0, spentNanoUsd));
      else apart.set(subject, (apart.get(subject) ?? 0) + spentNanoUsd);
    }
  for (const [subject, spent] of apart) shared.set(subject, (shared.get(subject) ?? 0) + spent);
  return shared;
}

const most = (values: readonly number[]): number => values.reduce((max, value) => Math.max(max, value), 0);
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function totalOf(
  readings: ReturnType<typeof reached>,
  figure: (crossing: ReturnType<typeof reached>[number]) => number,
): number {
  return (
    most(readings.filter((reading) => reading.shared).map(figure)) +
    sum(readings.filter((reading) => !reading.shared).map(figure))
  );
}

const topOf = (groups: ReadonlyMap<string, number>): Map<string, number> =>
  new Map([...groups].sort((a, b) => b[1] - a[1]).slice(0, maxGroups));

function closed(before: BudgetState): BudgetState["history"] {
  const ended = { periodStart: isoTime(before.periodStartMs), spent: usdText(before.spentNanoUsd) };
  return [...before.history, ended].slice(-maxHistory);
}

/** After this time, every delivery was given up, or its channel is unusable. */
const maxUnresolvedMs = 172_800_000;

/** State that survives into the next period. Periods under other terms don't count as history. */
function carriedOver(
  before: BudgetState | null,
  sinceMs: number | null,
  periodStartMs: number,
  nowMs: number,
): Pick<BudgetState, "unresolved" | "history" | "rearmed"> {
  if (before === null) return { unresolved: [], history: [], rearmed: 0 };
  const sameTerms = before.sinceMs === sinceMs;
  const same = sameTerms && before.periodStartMs === periodStartMs;
  const open = same ? before.unresolved : openIncidents(before, nowMs);
  return {
    unresolved: open.filter(({ at }) => nowMs - Date.parse(at) < maxUnresolvedMs),
    history: same ? before.history : sameTerms ? closed(before) : [],
    rearmed: before.rearmed + (sameTerms ? 0 : 1),
  };
}

type Readings = ReturnType<typeof reached>;

/** Calls that began in the previous period are still charged to it. */
function withLateCharges(history: BudgetState["history"], readings: Readings): BudgetState["history"] {
  const newest = history.at(-1);
  if (newest === undefined) return history;
  const late = readings.filter(
    ({ before }) => before !== undefined && isoTime(before.periodStartMs) === newest.periodStart,
  );
  const spent = Math.max(
    nanoOfText(newest.spent),
    totalOf(late, ({ before }) => before?.spentNanoUsd ?? 0),
  );
  return [...history.slice(0, -1), { ...newest, spent: usdText(spent) }];
}

/** Subjects refused under the current amount. Only a hard budget refuses. */
function refusedNow({ config }: BudgetRules, same: BudgetState | null, readings: Readings): Set<string> {
  if (config.enforcement !== "Hard") return new Set();
  const unchanged = same !== null && (same.amountNanoUsd ?? config.amountNanoUsd) === config.amountNanoUsd;
  const now = readings.filter((reading) => (reading.amountNanoUsd ?? config.amountNanoUsd) === config.amountNanoUsd);
  return new Set([...(unchanged ? same.refused : []), ...now.flatMap((crossing) => crossing.refused)]);
}

/**
 * Current state under the current terms (period, time zone, scope, per); null if unknown. Until a proxy reports under
 * these terms, the state under the earlier ones stays.
 */
export function advanceBudget(
  watch: BudgetRules,
  before: BudgetState | null,
  reports: readonly BudgetReadings[],
  nowMs: number,
): BudgetState | null {
  const { config } = watch;
  const sinceMs = config.counting?.sinceMs ?? null;
  const readings = reached(reports, config.id).filter((reading) => (reading.sinceMs ?? null) === sinceMs);
  const own = before?.sinceMs === sinceMs ? before : null;
  const newest = Math.max(
    own?.periodStartMs ?? Number.NEGATIVE_INFINITY,
    ...readings.map((reading) => reading.periodStartMs),
  );
  if (newest === Number.NEGATIVE_INFINITY) return before;
  const present = readings.filter((reading) => reading.periodStartMs === newest);
  const same = own?.periodStartMs === newest ? own : null;
  const groups = mergedGroups(present);
  for (const [subject, spent] of same?.groups ?? []) groups.set(subject, Math.max(spent, groups.get(subject) ?? 0));
  const top = topOf(groups);
  const state: BudgetState = {
    sinceMs,
    amountNanoUsd: config.amountNanoUsd,
    periodStartMs: newest,
    resetsAtMs: present[0]?.resetsAtMs ?? same?.resetsAtMs ?? null,
    spentNanoUsd: Math.max(
      same?.spentNanoUsd ?? 0,
      totalOf(present, (reading) => reading.spentNanoUsd),
      sum([...top.values()]),
    ),
    groupCount: Math.max(same?.groupCount ?? 0, most(present.map((reading) => reading.groupCount)), groups.size),
    groups: top,
    refused: refusedNow(watch, same, present),
    crossings: same?.crossings ?? [],
    ...carriedOver(before, sinceMs, newest, nowMs),
  };
  state.history = withLateCharges(state.history, present);
  const settled = withoutUncrossed(watch, state, nowMs);
  return { ...settled, crossings: crossingsOf(watch, settled, nowMs) };
}
