/** What the operator remembers of the alerts of a provider or policy. Pure. */

import { type AlertTest, alertTest } from "../../../crds/types/alerts.ts";
import { type ObjectAlert, objectAlerts } from "../../../crds/types/object-alerts.ts";
import type { ChannelName } from "../../compile/alerts.ts";
import type { ObjectAlertWatch } from "../../compile/object-alerts.ts";
import type { ObjectMeta } from "../../compile/world.ts";
import { type ChannelSnapshot, noChannels, renamedChannels } from "../../delivery/channel-snapshot.ts";
import type { Delivery } from "../../delivery/pending-alert.ts";
import type { AlertEnding } from "./alert.ts";
import type { ObjectAlertState } from "./state.ts";

export type Watchable = ObjectAlertWatch["kind"];

export interface ObjectAlertMemory {
  kind: Watchable;
  meta: ObjectMeta;
  state: ObjectAlertState;
  test: AlertTest | undefined;
  /** Names of channels in the state; null if the state is from a status that another process wrote. */
  named: readonly ChannelName[] | null;
  reach: ChannelSnapshot;
}

export const endingOf = ({ ending }: ObjectAlert): AlertEnding => ending ?? "Recovered";

/** Marks the channel as done with the start or, if `over`, the end. */
export function markObjectAlertNotified(
  state: ObjectAlertState,
  { event, since }: ObjectAlert,
  over: boolean,
  channel: string,
  how: Delivery,
): ObjectAlertState {
  const add = (names: readonly string[], wanted: boolean): string[] =>
    wanted ? [...new Set([...names, channel])] : [...names];
  const alerts = state.alerts.map((alert) =>
    alert.event === event && alert.since === since
      ? // A channel that was not notified of the start is not notified of the end.
        { ...alert, told: add(alert.told, !over), toldOver: add(alert.toldOver, over || how === "given_up") }
      : alert,
  );
  return { ...state, alerts };
}

/** Anyone who may write statuses can write times that don't parse, which must not break the operator. */
const isSound = ({ since, over = since }: ObjectAlert): boolean =>
  Number.isFinite(Date.parse(since)) && Number.isFinite(Date.parse(over));

/** Reads a status. Parts that can't be read are ignored. */
export function memoryFromStatus(status: unknown): Omit<ObjectAlertMemory, "kind" | "meta"> {
  const { alerts, alertTest: test } = (status ?? {}) as { alerts?: unknown; alertTest?: unknown };
  const [recorded, tested] = [objectAlerts.safeParse(alerts ?? []), alertTest.safeParse(test)];
  const state: ObjectAlertState = {
    alerts: recorded.success ? recorded.data.filter(isSound) : [],
    quietSinceMs: new Map(),
  };
  return { state, test: tested.success ? tested.data : undefined, named: null, reach: noChannels };
}

/** By then every delivery has been given up. Channels added later are not notified of past alerts. */
const pastMs = 172_800_000;

/** Returns the state with the current names of channels. */
export function withObjectChannelNames(
  { state, named }: ObjectAlertMemory,
  now: readonly ChannelName[],
  nowMs: number,
): ObjectAlertState {
  const added = named === null ? [] : now.filter(({ place }) => !named.some((other) => other.place === place));
  /** Channels that needn't be notified of it any more. */
  const spared = ({ state, over, since }: ObjectAlert): readonly ChannelName[] => {
    if (state === "Active") return [];
    return nowMs - Date.parse(over ?? since) >= pastMs ? now : added;
  };
  const alerts = state.alerts.map((alert) => {
    const past = spared(alert).map(({ id }) => id);
    const renamed = (ids: readonly string[]): string[] => [...new Set([...renamedChannels(ids, named, now), ...past])];
    return { ...alert, told: renamed(alert.told), toldOver: renamed(alert.toldOver) };
  });
  return { ...state, alerts };
}

/** A channel may still have to be notified of an end. */
export const isOpen = ({ alerts }: ObjectAlertState, named: readonly ChannelName[]): boolean =>
  alerts.some((alert) => alert.state === "Active" || named.some(({ id }) => !alert.toldOver.includes(id)));
