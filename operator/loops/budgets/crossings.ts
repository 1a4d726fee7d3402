/** Thresholds and spikes that a Budget has crossed. Pure. */
import type { BudgetCrossing } from "../../../crds/types/budget-status.ts";
import type { BudgetRules } from "../../compile/budgets.ts";
import { openedBy, unresolvedOf, withUnresolved } from "./incidents.ts";
import { isoTime, nanoOfText, usdText } from "./money.ts";
import type { BudgetState } from "./state.ts";

const maxCrossings = 500;
/** Earlier periods needed to know what is usual. */
const minHistory = 3;
const maxPercent = 10_000_000;

export const isExpired = ({ config }: BudgetRules, nowMs: number): boolean =>
  config.expiresAtMs !== null && nowMs >= config.expiresAtMs;

type Crossed = Pick<BudgetCrossing, "event" | "percent" | "subject">;

/** Whether a subject has reached a share of the current amount. Whole numbers: a float could miss the last nano-USD. */
function isReached(
  { config }: BudgetRules,
  { groups, refused }: BudgetState,
  { percent, subject }: Crossed,
  least = 0,
): boolean {
  const spent = Math.max(least, groups.get(subject) ?? 0);
  return spent * 100 >= percent * config.amountNanoUsd || (percent === 100 && refused.has(subject));
}

/** All crossings under the current spec, reported or not. */
function reachedNow(watch: BudgetRules, state: BudgetState): Crossed[] {
  const { groups, refused } = state;
  return [...new Set([...groups.keys(), ...refused])].flatMap((subject) =>
    watch.thresholds
      .map((percent) => ({ event: "Threshold", percent, subject }) as const)
      .filter((crossed) => isReached(watch, state, crossed)),
  );
}

/**
 * Whether a reported crossing is one under the current spec. What was spent when it was noticed counts: its
 * subject may have fallen behind those that are kept.
 */
function stillCrossed(watch: BudgetRules, state: BudgetState, crossing: BudgetCrossing): boolean {
  if (crossing.event === "Spike") return watch.spike !== null;
  return watch.thresholds.includes(crossing.percent) && isReached(watch, state, crossing, nanoOfText(crossing.spent));
}

/** Spending against the usual, in percent; null if it is no spike, or if there is too little to compare with. */
function spikeOf({ spike }: BudgetRules, { history, spentNanoUsd }: BudgetState): number | null {
  if (spike === null || history.length < minHistory || spentNanoUsd < spike.minimumNanoUsd) return null;
  const usual = history.reduce((total, { spent }) => total + nanoOfText(spent), 0) / history.length;
  if (spentNanoUsd <= usual * spike.factor) return null;
  return usual === 0 ? maxPercent : Math.min(maxPercent, Math.round((spentNanoUsd / usual) * 100));
}

const nameOf = ({ event, percent, subject }: Pick<BudgetCrossing, "event" | "percent" | "subject">): string =>
  event === "Spike" ? event : `${percent} ${subject}`;

export function crossingsOf(watch: BudgetRules, state: BudgetState, nowMs: number): BudgetCrossing[] {
  if (isExpired(watch, nowMs)) return [];
  const spike = spikeOf(watch, state);
  const now = [
    ...reachedNow(watch, state),
    ...(spike === null ? [] : [{ event: "Spike", percent: spike, subject: "" } as const]),
  ];
  const reported = new Set(state.crossings.map(nameOf));
  const spent = (crossed: Crossed): number =>
    crossed.event === "Spike" ? state.spentNanoUsd : (state.groups.get(crossed.subject) ?? 0);
  const again = state.rearmed === 0 ? {} : { rearmed: state.rearmed };
  const fresh = now
    .filter((crossed) => !reported.has(nameOf(crossed)))
    .map((crossed) => ({ ...crossed, at: isoTime(nowMs), spent: usdText(spent(crossed)), told: [], ...again }));
  return [...state.crossings, ...fresh].slice(0, maxCrossings);
}

/** Drops crossings that no longer apply under the current spec; their incidents must be resolved. */
export function withoutUncrossed(watch: BudgetRules, state: BudgetState, nowMs: number): BudgetState {
  const expired = isExpired(watch, nowMs);
  const [kept, over]: [BudgetCrossing[], BudgetCrossing[]] = [[], []];
  for (const crossing of state.crossings)
    (!expired && stillCrossed(watch, state, crossing) ? kept : over).push(crossing);
  if (over.length === 0) return state;
  const open = over.map((crossing) => unresolvedOf(crossing, state.periodStartMs, openedBy(crossing), nowMs));
  const unresolved = withUnresolved(state.unresolved, open);
  return { ...state, crossings: kept, unresolved, rearmed: state.rearmed + 1 };
}
