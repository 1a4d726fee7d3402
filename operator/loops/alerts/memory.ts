/** What is remembered of a provider or policy that somebody watches. Pure. */
import { type Alarm, alarm } from "../../../crds/types/alarms.ts";
import { type AlertTest, alertTest } from "../../../crds/types/alerts.ts";
import type { AlarmWatch } from "../../compile/alarms.ts";
import type { ChannelName } from "../../compile/alerts.ts";
import type { ObjectMeta } from "../../compile/world.ts";
import { nowhere, type Reach, renamed } from "../../delivery/channel-snapshot.ts";
import type { Settled } from "../../delivery/pending-alert.ts";
import type { Ending } from "./alert.ts";
import type { AlarmStanding } from "./state.ts";

export type Watchable = AlarmWatch["kind"];

export interface Held {
  kind: Watchable;
  meta: ObjectMeta;
  standing: AlarmStanding;
  test: AlertTest | undefined;
  /** Channels as the standing names them; null: as a status that this process has not written names them. */
  named: readonly ChannelName[] | null;
  reach: Reach;
}

export const endingOf = ({ ending }: Alarm): Ending => ending ?? "Recovered";

/** With a channel that need not be told any more. */
export function toldIn(
  standing: AlarmStanding,
  { event, since }: Alarm,
  over: boolean,
  channel: string,
  how: Settled,
): AlarmStanding {
  const add = (names: readonly string[], wanted: boolean): string[] =>
    wanted ? [...new Set([...names, channel])] : [...names];
  const alarms = standing.alarms.map((one) =>
    one.event === event && one.since === since
      ? // Whom the beginning did not reach is not told of the end.
        { ...one, told: add(one.told, !over), toldOver: add(one.toldOver, over || how === "given_up") }
      : one,
  );
  return { ...standing, alarms };
}

/** Its times are some: who may write a status must not bring down what reads it. */
const isSound = ({ since, over = since }: Alarm): boolean =>
  Number.isFinite(Date.parse(since)) && Number.isFinite(Date.parse(over));

/** What a status tells; what can't be read counts as nothing. */
export function heldIn(status: unknown): Omit<Held, "kind" | "meta"> {
  const { alerts, alertTest: test } = (status ?? {}) as { alerts?: unknown; alertTest?: unknown };
  const [alarms, tested] = [alarm.safeParse(alerts ?? []), alertTest.safeParse(test)];
  const standing: AlarmStanding = {
    alarms: alarms.success ? alarms.data.filter(isSound) : [],
    quietSinceMs: new Map(),
  };
  return { standing, test: tested.success ? tested.data : undefined, named: null, reach: nowhere };
}

/** By then each alert has been given up; who is added later is not told of what is past. */
const pastMs = 172_800_000;

/** The standing with the names that channels have now. */
export function withNames({ standing, named }: Held, now: readonly ChannelName[], nowMs: number): AlarmStanding {
  const added = named === null ? [] : now.filter(({ place }) => !named.some((other) => other.place === place));
  /** Who is not told of it any more. */
  const spared = ({ state, over, since }: Alarm): readonly ChannelName[] => {
    if (state === "Active") return [];
    return nowMs - Date.parse(over ?? since) >= pastMs ? now : added;
  };
  const alarms = standing.alarms.map((one) => {
    const past = spared(one).map(({ id }) => id);
    const of = (ids: readonly string[]): string[] => [...new Set([...renamed(ids, named, now), ...past])];
    return { ...one, told: of(one.told), toldOver: of(one.toldOver) };
  });
  return { ...standing, alarms };
}

/** Somebody may still have to hear of an end. */
export const isOpen = ({ alarms }: AlarmStanding, named: readonly ChannelName[]): boolean =>
  alarms.some((one) => one.state === "Active" || named.some(({ id }) => !one.toldOver.includes(id)));
