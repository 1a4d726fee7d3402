/** Incidents that alerts have opened, until their channels are notified that they ended. Pure. */
import type { BudgetCrossing, BudgetUnresolved } from "../../../crds/types/budget-status.ts";
import { hasIncidents } from "../../compile/alerts.ts";
import { isoTime } from "./money.ts";
import type { BudgetState } from "./state.ts";

/** Channels in which a crossing has opened an incident. */
export const openedBy = ({ told, givenUp = [] }: BudgetCrossing): string[] =>
  told.filter((id) => hasIncidents(id) && !givenUp.includes(id));

const maxUnresolved = 500;

/** Adds incidents to be resolved. If there are too many, the newest are kept. */
export const withUnresolved = (
  before: readonly BudgetUnresolved[],
  more: readonly BudgetUnresolved[],
): BudgetUnresolved[] => [...before, ...more.filter(({ channels }) => channels.length > 0)].slice(-maxUnresolved);

/** Of an incident that is over: its period ended, or the spec changed. */
export const unresolvedOf = (
  crossing: BudgetCrossing,
  periodStartMs: number,
  channels: string[],
  nowMs: number,
): BudgetUnresolved => {
  const { event, percent, subject, rearmed } = crossing;
  const again = rearmed === undefined ? {} : { rearmed };
  return { periodStart: isoTime(periodStartMs), event, percent, subject, ...again, at: isoTime(nowMs), channels };
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
