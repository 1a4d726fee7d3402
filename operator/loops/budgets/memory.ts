/** What is remembered of a Budget, and whom it opened an incident with. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { BudgetCrossing, BudgetStatus, BudgetUnresolved } from "../../../crds/types/budget.ts";
import { type ChannelName, hasIncidents } from "../../compile/alerts.ts";
import type { BudgetWatch } from "../../compile/budgets.ts";
import type { ObjectMeta } from "../../compile/world.ts";
import { type ChannelSnapshot, type Channels, renamedChannels } from "../../delivery/channel-snapshot.ts";
import type { Delivery } from "../../delivery/pending-alert.ts";
import { unresolvedOf, withUnresolved } from "./incidents.ts";
import type { BudgetState } from "./state.ts";

export interface BudgetMemory {
  meta: ObjectMeta;
  standing: BudgetState;
  /** As last put into a status, and when. */
  reported: BudgetState;
  reportedAtMs: number;
  /** The figures of that status. */
  shown: Partial<BudgetStatus>;
  /** Channels as the standing names them; null: as a status that this process has not written names them. */
  named: readonly ChannelName[] | null;
  reach: ChannelSnapshot;
}

/** Channels with an open incident, until they are notified that it ended. */
export const incidentChannels = ({ channels, named }: BudgetWatch): Channels => ({
  channels: channels.filter(({ id }) => hasIncidents(id)),
  named: named.filter(({ id }) => hasIncidents(id)),
});

/** The standing with the names that channels have now. */
export function withBudgetChannelNames({ standing, named }: BudgetMemory, now: readonly ChannelName[]): BudgetState {
  if (named === now) return standing;
  const renamed = (ids: readonly string[]): string[] => renamedChannels(ids, named, now);
  const crossings = standing.crossings.map(({ told, givenUp, ...crossing }) => {
    const without = renamed(givenUp ?? []);
    return { ...crossing, told: renamed(told), ...(without.length === 0 ? {} : { givenUp: without }) };
  });
  return {
    ...standing,
    crossings,
    unresolved: withUnresolved(
      [],
      standing.unresolved.map((incident) => ({ ...incident, channels: renamed(incident.channels) })),
    ),
  };
}

/** Whether a standing tells nothing that is worth writing a status for, but for figures that change with every call. */
export const isNoNews = (reported: BudgetState, now: BudgetState): boolean =>
  reported.periodStartMs === now.periodStartMs &&
  reported.sinceMs === now.sinceMs &&
  reported.amountNanoUsd === now.amountNanoUsd &&
  reported.refused.size === now.refused.size &&
  isDeepStrictEqual(reported.crossings, now.crossings) &&
  isDeepStrictEqual(reported.unresolved, now.unresolved);

const same = (a: Pick<BudgetCrossing, "event" | "percent" | "subject" | "at">, b: typeof a): boolean =>
  a.event === b.event && a.percent === b.percent && a.subject === b.subject && a.at === b.at;

/** A crossing of the period that began at `periodStartMs`. */
interface CrossingOf {
  crossing: BudgetCrossing;
  periodStartMs: number;
}

/** Adds a channel that is done with a crossing. */
export function markBudgetNotified(
  standing: BudgetState,
  { crossing, periodStartMs }: CrossingOf,
  channel: string,
  how: Delivery,
  nowMs: number,
): BudgetState {
  if (standing.periodStartMs !== periodStartMs || !standing.crossings.some((known) => same(known, crossing))) {
    // The period ended, or the spec changed, while it was on its way.
    const open =
      how === "sent" && hasIncidents(channel) ? [unresolvedOf(crossing, periodStartMs, [channel], nowMs)] : [];
    return { ...standing, unresolved: withUnresolved(standing.unresolved, open) };
  }
  const add = (ids: readonly string[]): string[] => [...new Set([...ids, channel])];
  const crossings = standing.crossings.map((before) =>
    same(before, crossing)
      ? { ...before, told: add(before.told), ...(how === "given_up" ? { givenUp: add(before.givenUp ?? []) } : {}) }
      : before,
  );
  return { ...standing, crossings };
}

/** With an incident that a channel need not be told the end of any more. */
export function resolvedIn(standing: BudgetState, incident: BudgetUnresolved, channel: string): BudgetState {
  const { unresolved } = standing;
  const rest = unresolved.map((open) =>
    same(open, incident) && open.periodStart === incident.periodStart
      ? { ...open, channels: open.channels.filter((id) => id !== channel) }
      : open,
  );
  return { ...standing, unresolved: withUnresolved([], rest) };
}
