/**
 * How a Budget stands: from what proxies report, and from what its status told before. Pure. Within a period nothing
 * that was spent is forgotten, whatever store or proxy has lost its memory since.
 */
import type { BudgetCrossing, BudgetStatus, BudgetUnresolved } from "../../../crds/types/budget.ts";
import type { BudgetReadings, BudgetSeed } from "../../../proxy/config/budget.ts";
import { type Currency, inCurrency, nanoPerUsd, usd } from "../../../proxy/config/usage-report.ts";
import { hasIncidents } from "../../compile/alerts.ts";
import type { BudgetRules } from "../../compile/budgets.ts";

export interface BudgetState {
  /** `counting.sinceMs` of the terms that all of this is about; null: those that the Budget was made with. */
  sinceMs: number | null;
  /** What the crossings are shares of; null: a status of before this was kept. */
  amountNanoUsd: number | null;
  /** How often crossings were taken back, so that a repeated one can be distinguished from the one before. */
  rearmed: number;
  periodStartMs: number;
  resetsAtMs: number | null;
  /** By all together. */
  spentNanoUsd: number;
  groupCount: number;
  /** Subject → spent; those who spent most. */
  groups: ReadonlyMap<string, number>;
  /** Subjects for whom a call was refused. */
  refused: ReadonlySet<string>;
  crossings: readonly BudgetCrossing[];
  /** Incidents of periods before that are still open, as far as is known. */
  unresolved: readonly BudgetUnresolved[];
  /** Periods before, the newest last. */
  history: readonly { periodStart: string; spent: string }[];
}

const mostGroups = 100;
const mostCrossings = 500;
const mostHistory = 14;
const leastHistory = 3;
const mostPercent = 10_000_000;

/** nano-USD → USD with as many places as it takes, at least two. */
export const usdText = (nanoUsd: number): string => usd(nanoUsd);

const iso = (ms: number): string => new Date(ms).toISOString();
/** What was spent can exceed every amount, and then what a number holds exactly: the nearest one does. */
export const nanoOfText = (text: string | undefined): number => {
  const [whole = "0", fraction = ""] = (text ?? "0").split(".");
  return Number(BigInt(whole) * nanoPerUsd + BigInt(fraction.padEnd(9, "0")));
};

const isMoney = (text: string): boolean => /^\d{1,15}(\.\d{1,9})?$/.test(text);
const isTime = (text: string): boolean => Number.isFinite(Date.parse(text));

/** Someone who may write a status must not be able to break the pass that reads it. */
function isSound({
  countingSince,
  amount,
  periodStart,
  resetsAt,
  spent,
  groups = [],
  crossings = [],
  unresolved = [],
  history = [],
}: BudgetStatus): boolean {
  const times = [
    countingSince,
    periodStart,
    resetsAt,
    ...crossings.map(({ at }) => at),
    ...unresolved.flatMap((one) => [one.at, one.periodStart]),
  ];
  const money = [amount, spent, ...[...groups, ...crossings, ...history].map((one) => one.spent)];
  return (
    times.every((time) => time === undefined || isTime(time)) && money.every((one) => one === undefined || isMoney(one))
  );
}

/** null where a status tells of no period, or of none that can be. */
export function stateFromStatus(status: BudgetStatus): BudgetState | null {
  if (status.periodStart === undefined || !isSound(status)) return null;
  return {
    sinceMs: status.countingSince === undefined ? null : Date.parse(status.countingSince),
    amountNanoUsd: status.amount === undefined ? null : nanoOfText(status.amount),
    rearmed: status.rearmed ?? 0,
    periodStartMs: Date.parse(status.periodStart),
    resetsAtMs: status.resetsAt === undefined ? null : Date.parse(status.resetsAt),
    spentNanoUsd: nanoOfText(status.spent),
    groupCount: status.groupCount ?? 0,
    groups: new Map(
      (status.groups ?? [{ subject: "", spent: status.spent ?? "0" }]).map(({ subject, spent }) => [
        subject,
        nanoOfText(spent),
      ]),
    ),
    refused: new Set((status.crossings ?? []).filter((one) => one.percent === 100).map(({ subject }) => subject)),
    crossings: status.crossings ?? [],
    unresolved: status.unresolved ?? [],
    history: status.history ?? [],
  };
}

const reached = (reports: readonly BudgetReadings[], id: string) =>
  reports.flatMap(({ shared, budgets }) =>
    budgets.filter((budget) => budget.id === id).map((one) => ({ ...one, shared })),
  );

/** Proxies with a store in common tell of the same money; those with one each, of their own. */
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
  figure: (one: ReturnType<typeof reached>[number]) => number,
): number {
  return (
    most(readings.filter((reading) => reading.shared).map(figure)) +
    sum(readings.filter((reading) => !reading.shared).map(figure))
  );
}

const topOf = (groups: ReadonlyMap<string, number>): Map<string, number> =>
  new Map([...groups].sort((a, b) => b[1] - a[1]).slice(0, mostGroups));

function closed(before: BudgetState): BudgetState["history"] {
  const last = { periodStart: iso(before.periodStartMs), spent: usdText(before.spentNanoUsd) };
  return [...before.history, last].slice(-mostHistory);
}

const isExpired = ({ config }: BudgetRules, nowMs: number): boolean =>
  config.expiresAtMs !== null && nowMs >= config.expiresAtMs;

type Crossed = Pick<BudgetCrossing, "event" | "percent" | "subject">;

/** Whether a subject has reached a share of the amount as it is now. Whole numbers: a float could miss the last nano-USD. */
function isReached(
  { config }: BudgetRules,
  { groups, refused }: BudgetState,
  { percent, subject }: Crossed,
  least = 0,
): boolean {
  const spent = Math.max(least, groups.get(subject) ?? 0);
  return spent * 100 >= percent * config.amountNanoUsd || (percent === 100 && refused.has(subject));
}

/** What is crossed, known or not. */
function reachedNow(watch: BudgetRules, standing: BudgetState): Crossed[] {
  const { groups, refused } = standing;
  return [...new Set([...groups.keys(), ...refused])].flatMap((subject) =>
    watch.thresholds
      .map((percent) => ({ event: "Threshold", percent, subject }) as const)
      .filter((crossed) => isReached(watch, standing, crossed)),
  );
}

/**
 * Whether a reported crossing is one under the current spec. What was spent when it was noticed counts: its
 * subject may have fallen behind those that are kept.
 */
function stillCrossed(watch: BudgetRules, standing: BudgetState, crossing: BudgetCrossing): boolean {
  if (crossing.event === "Spike") return watch.spike !== null;
  return (
    watch.thresholds.includes(crossing.percent) && isReached(watch, standing, crossing, nanoOfText(crossing.spent))
  );
}

/** Spending against the usual, in percent; null where it is no spike, or where there is too little to compare with. */
function spikeOf({ spike }: BudgetRules, { history, spentNanoUsd }: BudgetState): number | null {
  if (spike === null || history.length < leastHistory || spentNanoUsd < spike.minimumNanoUsd) return null;
  const usual = sum(history.map((one) => nanoOfText(one.spent))) / history.length;
  if (spentNanoUsd <= usual * spike.factor) return null;
  return usual === 0 ? mostPercent : Math.min(mostPercent, Math.round((spentNanoUsd / usual) * 100));
}

const nameOf = ({ event, percent, subject }: Pick<BudgetCrossing, "event" | "percent" | "subject">): string =>
  event === "Spike" ? event : `${percent} ${subject}`;

function crossingsOf(watch: BudgetRules, standing: BudgetState, nowMs: number): BudgetCrossing[] {
  if (isExpired(watch, nowMs)) return [];
  const spike = spikeOf(watch, standing);
  const now = [
    ...reachedNow(watch, standing),
    ...(spike === null ? [] : [{ event: "Spike", percent: spike, subject: "" } as const]),
  ];
  const known = new Set(standing.crossings.map(nameOf));
  const spent = (crossed: Crossed): number =>
    crossed.event === "Spike" ? standing.spentNanoUsd : (standing.groups.get(crossed.subject) ?? 0);
  const again = standing.rearmed === 0 ? {} : { rearmed: standing.rearmed };
  const fresh = now
    .filter((crossed) => !known.has(nameOf(crossed)))
    .map((crossed) => ({ ...crossed, at: iso(nowMs), spent: usdText(spent(crossed)), told: [], ...again }));
  return [...standing.crossings, ...fresh].slice(0, mostCrossings);
}

/** Without the crossings that are none under the spec as it is now; their incidents are to be resolved. */
function withoutUncrossed(watch: BudgetRules, standing: BudgetState, nowMs: number): BudgetState {
  const expired = isExpired(watch, nowMs);
  const [kept, over]: [BudgetCrossing[], BudgetCrossing[]] = [[], []];
  for (const crossing of standing.crossings)
    (!expired && stillCrossed(watch, standing, crossing) ? kept : over).push(crossing);
  if (over.length === 0) return standing;
  const open = over.map((crossing) => unresolvedOf(crossing, standing.periodStartMs, openedBy(crossing), nowMs));
  const unresolved = withUnresolved(standing.unresolved, open);
  return { ...standing, crossings: kept, unresolved, rearmed: standing.rearmed + 1 };
}

/** Channels in which a crossing has opened an incident. */
const openedBy = ({ told, givenUp = [] }: BudgetCrossing): string[] =>
  told.filter((id) => hasIncidents(id) && !givenUp.includes(id));

const mostUnresolved = 500;

/** With incidents that are to be resolved, the newest first to stay. */
export const withUnresolved = (
  before: readonly BudgetUnresolved[],
  more: readonly BudgetUnresolved[],
): BudgetUnresolved[] => [...before, ...more.filter(({ channels }) => channels.length > 0)].slice(-mostUnresolved);

/** Of an incident that is over: its period ended, or the spec changed. */
export const unresolvedOf = (
  crossing: BudgetCrossing,
  periodStartMs: number,
  channels: string[],
  nowMs: number,
): BudgetUnresolved => {
  const { event, percent, subject, rearmed } = crossing;
  const again = rearmed === undefined ? {} : { rearmed };
  return { periodStart: iso(periodStartMs), event, percent, subject, ...again, at: iso(nowMs), channels };
};

/** Everything that is open, of this period and of those before. */
export const openIncidents = (
  { crossings, periodStartMs, unresolved }: BudgetState,
  nowMs: number,
): BudgetUnresolved[] =>
  withUnresolved(
    unresolved,
    crossings.map((crossing) => unresolvedOf(crossing, periodStartMs, openedBy(crossing), nowMs)),
  );

/** By then each has been given up, or its channel can't be used. */
const longestUnresolvedMs = 172_800_000;

/** What goes from one look to the next, and from one period to the next. Periods of other terms are no history. */
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
    unresolved: open.filter(({ at }) => nowMs - Date.parse(at) < longestUnresolvedMs),
    history: same ? before.history : sameTerms ? closed(before) : [],
    rearmed: before.rearmed + (sameTerms ? 0 : 1),
  };
}

type Readings = ReturnType<typeof reached>;

/** For whom a call was refused under the amount as it is now. Only a hard budget refuses. */
function refusedNow({ config }: BudgetRules, same: BudgetState | null, readings: Readings): Set<string> {
  if (config.enforcement !== "Hard") return new Set();
  const unchanged = same !== null && (same.amountNanoUsd ?? config.amountNanoUsd) === config.amountNanoUsd;
  const now = readings.filter((reading) => (reading.amountNanoUsd ?? config.amountNanoUsd) === config.amountNanoUsd);
  return new Set([...(unchanged ? same.refused : []), ...now.flatMap((one) => one.refused)]);
}

/**
 * Current state; null if unknown. Of the terms as they are now (period, time zone, scope, per):
 * until a proxy tells of those, what was known under the terms before stays as it is.
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
  const standing: BudgetState = {
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
  const settled = withoutUncrossed(watch, standing, nowMs);
  return { ...settled, crossings: crossingsOf(watch, settled, nowMs) };
}

function converted(
  { per, amountNanoUsd }: BudgetRules["config"],
  spentNanoUsd: number,
  currency: Currency,
): NonNullable<BudgetStatus["inCurrency"]> {
  const remaining = inCurrency(Math.max(0, amountNanoUsd - spentNanoUsd), currency);
  const { code } = currency;
  return { code, spent: inCurrency(spentNanoUsd, currency), ...(per === null ? { remaining } : {}) };
}

export function statusFromState(
  { config, currency }: BudgetRules,
  standing: BudgetState,
): Omit<BudgetStatus, "conditions" | "observedGeneration"> {
  const { periodStartMs, resetsAtMs, spentNanoUsd, groups, groupCount, crossings, unresolved, history } = standing;
  const { sinceMs, amountNanoUsd, rearmed } = standing;
  return {
    ...(amountNanoUsd === null ? {} : { amount: usdText(amountNanoUsd) }),
    ...(sinceMs === null ? {} : { countingSince: iso(sinceMs) }),
    ...(rearmed === 0 ? {} : { rearmed }),
    periodStart: iso(periodStartMs),
    ...(resetsAtMs === null ? {} : { resetsAt: iso(resetsAtMs) }),
    spent: usdText(spentNanoUsd),
    ...(currency === undefined ? {} : { inCurrency: converted(config, spentNanoUsd, currency) }),
    ...(config.per === null
      ? { remaining: usdText(Math.max(0, config.amountNanoUsd - spentNanoUsd)) }
      : { groupCount, groups: [...groups].map(([subject, spent]) => ({ subject, spent: usdText(spent) })) }),
    ...(crossings.length === 0 ? {} : { crossings: [...crossings] }),
    ...(unresolved.length === 0 ? {} : { unresolved: [...unresolved] }),
    ...(history.length === 0 ? {} : { history: [...history] }),
  };
}

interface Verdict {
  status: "True" | "False";
  reason: string;
  message: string;
}

/** The condition `Expired`; null where the budget never does. */
export function expired({ config: { expiresAtMs } }: BudgetRules, nowMs: number): Verdict | null {
  if (expiresAtMs === null) return null;
  const moment = iso(expiresAtMs);
  return nowMs >= expiresAtMs
    ? {
        status: "True",
        reason: "Expired",
        message: `nothing of it is in force since ${moment}; delete it, or move spec.expiresAt`,
      }
    : { status: "False", reason: "InForce", message: `it is in force until ${moment}` };
}

/** The condition `Exceeded`. */
export function exceeded(watch: BudgetRules, standing: BudgetState, nowMs = 0): Verdict {
  const { config } = watch;
  if (isExpired(watch, nowMs))
    return { status: "False", reason: "Expired", message: "the budget has expired: it limits nothing any more" };
  const over = [...new Set([...standing.groups.keys(), ...standing.refused])].filter(
    (subject) => (standing.groups.get(subject) ?? 0) >= config.amountNanoUsd || standing.refused.has(subject),
  );
  const reset = standing.resetsAtMs === null ? "it does not reset" : `it resets at ${iso(standing.resetsAtMs)}`;
  if (over.length === 0)
    return { status: "False", reason: "WithinAmount", message: `spending is within the amount; ${reset}` };
  const what = config.enforcement === "Hard" ? "calls are refused" : "it is reported, and nothing is refused";
  if (config.per === null)
    return {
      status: "True",
      reason: "AmountReached",
      message: `the amount is used up, or what is left does not suffice for a call: ${what}; ${reset}`,
    };
  const names = over.slice(0, 10).join(", ");
  const more = over.length > 10 ? ` and ${over.length - 10} more` : "";
  return { status: "True", reason: "AmountReached", message: `used up by ${names}${more}: ${what}; ${reset}` };
}

/** Rendered seeds lag behind by at most this share of the amount, while they may be rendered again. */
const lag = 0.05;
const mostSeeds = 2_000;

/** What to render of a budget: what was rendered, where it is still near enough. */
export function seedsOf({ config }: BudgetRules, standing: BudgetState, rendered: readonly BudgetSeed[]): BudgetSeed[] {
  const since = standing.sinceMs === null ? {} : { sinceMs: standing.sinceMs };
  const before = rendered.filter(
    (seed) =>
      seed.budget === config.id &&
      seed.periodStartMs === standing.periodStartMs &&
      (seed.sinceMs ?? null) === standing.sinceMs,
  );
  return [...standing.groups].flatMap(([subject, spentNanoUsd]) => {
    const was = before.find((one) => one.subject === subject);
    const near = spentNanoUsd - (was?.spentNanoUsd ?? 0) < lag * config.amountNanoUsd;
    if (near) return was === undefined ? [] : [was];
    return [{ budget: config.id, periodStartMs: standing.periodStartMs, ...since, subject, spentNanoUsd }];
  });
}

/** The largest of them, in one order. */
export function boundedSeeds(seeds: readonly BudgetSeed[]): BudgetSeed[] {
  const kept = [...seeds].sort((a, b) => b.spentNanoUsd - a.spentNanoUsd).slice(0, mostSeeds);
  return kept.sort((a, b) => (`${a.budget} ${a.subject}` < `${b.budget} ${b.subject}` ? -1 : 1));
}
