/** What is remembered of a provider or policy that somebody watches. Pure. */

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
  /** Channels as the state names them; null: as a status that this process has not written names them. */
  named: readonly ChannelName[] | null;
  reach: ChannelSnapshot;
}

export const endingOf = ({ ending }: ObjectAlert): AlertEnding => ending ?? "Recovered";

/** With a channel that need not be told any more. */
export function markObjectAlertNotified(
  state: ObjectAlertState,
  { event, since }: ObjectAlert,
  over: boolean,
  channel: string,
  how: Delivery,
): ObjectAlertState {
  const add = (names: readonly string[], wanted: boolean): string[] =>
    wanted ? [...new Set([...names, channel])] : [...names];
  const alarms = state.alarms.map((alarm) =>
    alarm.event === event && alarm.since === since
      ? // A channel that was not notified of the start is not notified of the end.
        { ...alarm, told: add(alarm.told, !over), toldOver: add(alarm.toldOver, over || how === "given_up") }
      : alarm,
  );
  return { ...state, alarms };
}

/** Its times are some: who may write a status must not bring down what reads it. */
const isSound = ({ since, over = since }: ObjectAlert): boolean =>
  Number.isFinite(Date.parse(since)) && Number.isFinite(Date.parse(over));

/** What a status tells; what can't be read counts as nothing. */
export function memoryFromStatus(status: unknown): Omit<ObjectAlertMemory, "kind" | "meta"> {
  const { alerts, alertTest: test } = (status ?? {}) as { alerts?: unknown; alertTest?: unknown };
  const [alarms, tested] = [objectAlerts.safeParse(alerts ?? []), alertTest.safeParse(test)];
  const state: ObjectAlertState = {
    alarms: alarms.success ? alarms.data.filter(isSound) : [],
    quietSinceMs: new Map(),
  };
  return { state, test: tested.success ? tested.data : undefined, named: null, reach: noChannels };
}

/** By then every alert has been given up. A channel added later is not notified of the past. */
const pastMs = 172_800_000;

/** The state with the names that channels have now. */
export function withObjectChannelNames(
  { state, named }: ObjectAlertMemory,
  now: readonly ChannelName[],
  nowMs: number,
): ObjectAlertState {
  const added = named === null ? [] : now.filter(({ place }) => !named.some((other) => other.place === place));
  /** Channels that are no longer notified of it. */
  const spared = ({ state, over, since }: ObjectAlert): readonly ChannelName[] => {
    if (state === "Active") return [];
    return nowMs - Date.parse(over ?? since) >= pastMs ? now : added;
  };
  const alarms = state.alarms.map((alarm) => {
    const past = spared(alarm).map(({ id }) => id);
    const renamed = (ids: readonly string[]): string[] => [...new Set([...renamedChannels(ids, named, now), ...past])];
    return { ...alarm, told: renamed(alarm.told), toldOver: renamed(alarm.toldOver) };
  });
  return { ...state, alarms };
}

/** A channel may still have to be notified of an end. */
export const isOpen = ({ alarms }: ObjectAlertState, named: readonly ChannelName[]): boolean =>
  alarms.some((alarm) => alarm.state === "Active" || named.some(({ id }) => !alarm.toldOver.includes(id)));
