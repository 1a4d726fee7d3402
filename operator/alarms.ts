/**
 * What the operator knows of providers and policies that somebody watches: from the status that it or another leader
 * wrote, and from what proxies report. The status is written when something begins or is over, and when it was told.
 */
import { type Alarm, alarm } from "../crds/types/alarms.ts";
import { type AlertTest, alertTest } from "../crds/types/alerts.ts";
import type { WatchReading } from "../proxy/config/watch.ts";
import { alarmAlert, alarmTest } from "./alerts/alarm-alert.ts";
import { type Due, requestedTest, type Settled, type TestDue, wants } from "./alerts/due.ts";
import { type AlarmStanding, advance, sightings } from "./compile/alarm-standing.ts";
import type { AlarmWatch } from "./compile/alarms.ts";
import type { Compiled } from "./compile/compile.ts";
import type { ProxyReport } from "./compile/health.ts";
import { idOf, isError } from "./compile/outcome.ts";
import type { Verdict } from "./compile/verdict.ts";
import type { ObjectMeta, WorldObject } from "./compile/world.ts";

interface Held {
  standing: AlarmStanding;
  test: AlertTest | undefined;
}

type Named = Pick<Verdict, "kind" | "meta">;
const nameOf = ({ kind, meta }: Named): string => `${kind}/${idOf(meta)}`;
const watchName = ({ kind, id }: AlarmWatch): string => `${kind}/${id}`;
const isWatchable = ({ kind }: Named): boolean => kind === "LLMProvider" || kind === "RoutingPolicy";

const metasOf = (others: Compiled["others"]): Map<string, ObjectMeta> => new Map(others.filter(isWatchable).map((verdict) => [nameOf(verdict), verdict.meta]));

/** What a status tells; what can't be read counts as nothing. */
function heldIn(status: unknown): Held {
  const { alerts, alertTest: test } = (status ?? {}) as { alerts?: unknown; alertTest?: unknown };
  const [alarms, tested] = [alarm.safeParse(alerts ?? []), alertTest.safeParse(test)];
  return { standing: { alarms: alarms.success ? alarms.data : [], quietSinceMs: new Map() }, test: tested.success ? tested.data : undefined };
}

export class AlarmBook {
  #held = new Map<string, Held>();

  /** What is in memory no longer counts: another process may have written since. */
  forget(): void {
    this.#held.clear();
  }

  /** Reads statuses that nothing is known of yet. */
  learn(objects: readonly WorldObject[]): void {
    for (const object of objects) {
      if (!isWatchable(object) || this.#held.has(nameOf(object))) continue;
      this.#held.set(nameOf(object), heldIn(object.status));
    }
  }

  /** Adds what is told of objects to their status. */
  report({ alarms, others }: Compiled, proxies: readonly ProxyReport[], readings: readonly WatchReading[], nowMs: number): void {
    const watches = new Map(alarms.map((watch) => [watchName(watch), watch]));
    const next = new Map<string, Held>();
    for (const verdict of others) {
      const name = nameOf(verdict);
      const before = isWatchable(verdict) ? this.#held.get(name) : undefined;
      if (before === undefined) continue;
      const watch = watches.get(name);
      // A mistake elsewhere in the object must not make it forget what was told.
      const kept = verdict.accepted.some(isError) ? before.standing : { alarms: [], quietSinceMs: new Map() };
      const standing = watch === undefined ? kept : advance(watch, before.standing, sightings(watch, proxies, readings), nowMs);
      const held = { ...before, standing };
      next.set(name, held);
      if (standing.alarms.length > 0) verdict.status["alerts"] = standing.alarms;
      if (held.test !== undefined) verdict.status["alertTest"] = held.test;
    }
    this.#held = next;
  }

  /** What began or is over and was not told to all. Who was not told that it began hears that first. */
  due({ alarms, others }: Compiled): Due[] {
    const metas = metasOf(others);
    return alarms.flatMap((watch) => {
      const meta = metas.get(watchName(watch));
      const known = this.#held.get(watchName(watch))?.standing.alarms ?? [];
      if (meta === undefined) return [];
      return known.flatMap((one) =>
        [false, true].flatMap((over): Due[] => {
          if (over && one.state !== "Over") return [];
          const channels = watch.channels.filter((channel) => {
            const begun = one.told.includes(channel.id);
            return wants(channel, one.event) && (over ? begun && !one.toldOver.includes(channel.id) : !begun);
          });
          if (channels.length === 0) return [];
          const settled = (channel: string, how: Settled): void => this.#settled(watch, one, over, channel, how);
          return [{ kind: watch.kind, meta, alert: alarmAlert(watch, one, over), channels, settled }];
        }),
      );
    });
  }

  #settled(watch: AlarmWatch, { event, since }: Alarm, over: boolean, channel: string, how: Settled): void {
    const held = this.#held.get(watchName(watch));
    if (held === undefined) return;
    const add = (names: readonly string[], wanted: boolean): string[] => (wanted ? [...new Set([...names, channel])] : [...names]);
    const alarms = held.standing.alarms.map((one) =>
      one.event === event && one.since === since
        ? // Whom the beginning did not reach is not told of the end.
          { ...one, told: add(one.told, !over), toldOver: add(one.toldOver, over || how === "given_up") }
        : one,
    );
    held.standing = { ...held.standing, alarms };
  }

  /** Objects whose channels are to be tried out, since their annotation says so. */
  testsDue({ alarms, others }: Compiled, nowMs: number): TestDue[] {
    const metas = metasOf(others);
    return alarms.flatMap((watch): TestDue[] => {
      const about = watchName(watch);
      const meta = metas.get(about);
      const requestedAt = requestedTest(meta, this.#held.get(about)?.test);
      if (meta === undefined || requestedAt === null) return [];
      const tested = (results: AlertTest["results"]): void => {
        const held = this.#held.get(about);
        if (held !== undefined) held.test = { requestedAt, results };
      };
      return [{ about, namespace: meta.namespace, alert: alarmTest(watch, requestedAt, nowMs), channels: watch.channels, tested }];
    });
  }

  /** How many are on, by kind and event. */
  counts(): { kind: string; event: string; on: number }[] {
    const counts = new Map<string, { kind: string; event: string; on: number }>();
    for (const [name, { standing }] of this.#held)
      for (const { event, state } of standing.alarms) {
        const kind = name.slice(0, name.indexOf("/"));
        const one = counts.get(`${kind} ${event}`) ?? { kind, event, on: 0 };
        counts.set(`${kind} ${event}`, { ...one, on: one.on + (state === "Active" ? 1 : 0) });
      }
    return [...counts.values()];
  }
}
