/** What the operator remembers of a Budget, and of the incidents that it opened. Pure. */
import { isDeepStrictEqual } from "node:util";
import type { BudgetCrossing, BudgetStatus, BudgetUnresolved } from "../../../crds/types/budget-status.ts";
import { type ChannelName, hasIncidents } from "../../compile/alerts.ts";
import type { BudgetWatch } from "../../compile/budgets.ts";
import type { ObjectMeta } from "../../compile/world.ts";
import { type ChannelSnapshot, type Channels, renamedChannels } from "../../delivery/channel-snapshot.ts";
import type { Delivery } from "../../delivery/pending-alert.ts";
import { unresolvedOf, withUnresolved } from "./incidents.ts";
import type { BudgetState } from "./state.ts";

export interface BudgetMemory {
  meta: ObjectMeta;
  state: BudgetState;
  /** The state as last put into a status, and when. */
  reported: BudgetState;
  reportedAtMs: number;
  /** The figures of that status. */
  shown: Partial<BudgetStatus>;
  /** Names of channels in the state; null if the state is from a status that another process wrote. */
  named: readonly ChannelName[] | null;
  reach: ChannelSnapshot;
}

/** Channels with an open incident, until they are notified that it ended. */
export const incidentChannels = ({ channels, named }: BudgetWatch): Channels => ({
  channels: channels.filter(({ id }) => hasIncidents(id)),
  named: named.filter(({ id }) => hasIncidents(id)),
});

/** Returns the state with the current names of channels. */
export function withBudgetChannelNames({ state, named }: BudgetMemory, now: readonly ChannelName[]): BudgetState {
  if (named === now) return state;
  const renamed = (ids: readonly string[]): string[] => renamedChannels(ids, named, now);
  const crossings = state.crossings.map(({ told, givenUp, ...crossing }) => {
    const without = renamed(givenUp ?? []);
    return { ...crossing, told: renamed(told), ...(without.length === 0 ? {} : { givenUp: without }) };
  });
  return {
    ...state,
    crossings,
    unresolved: withUnresolved(
      [],
      state.unresolved.map((incident) => ({ ...incident, channels: renamed(incident.channels) })),
    ),
  };
}

/** Whether two states differ only in figures that change with every call, which alone aren't worth a write. */
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
  state: BudgetState,
  { crossing, periodStartMs }: CrossingOf,
  channel: string,
  how: Delivery,
  nowMs: number,
): BudgetState {
  if (state.periodStartMs !== periodStartMs || !state.crossings.some((known) => same(known, crossing))) {
    // The period ended, or the spec changed, while it was on its way.
    const open =
      how === "sent" && hasIncidents(channel) ? [unresolvedOf(crossing, periodStartMs, [channel], nowMs)] : [];
    return { ...state, unresolved: withUnresolved(state.unresolved, open) };
  }
  const add = (ids: readonly string[]): string[] => [...new Set([...ids, channel])];
  const crossings = state.crossings.map((before) =>
    same(before, crossing)
      ? { ...before, told: add(before.told), ...(how === "given_up" ? { givenUp: add(before.givenUp ?? []) } : {}) }
      : before,
  );
  return { ...state, crossings };
}

/** Marks the channel as done with the end of the incident. */
export function resolvedIn(state: BudgetState, incident: BudgetUnresolved, channel: string): BudgetState {
  const { unresolved } = state;
  const rest = unresolved.map((open) =>
    same(open, incident) && open.periodStart === incident.periodStart
      ? { ...open, channels: open.channels.filter((id) => id !== channel) }
      : open,
  );
  return { ...state, unresolved: withUnresolved([], rest) };
}
