/**
 * What the operator knows of providers and policies that somebody watches: from the status that it or another leader
 * wrote, and from what proxies report. The status is written when something begins or ends, and when it was reported.
 */

import type { AlertTest } from "../../../crds/types/alerts.ts";
import type { ObjectAlert } from "../../../crds/types/object-alerts.ts";
import type { WatchReading } from "../../../proxy/config/watch.ts";
import type { Channel } from "../../compile/alerts.ts";
import type { Compiled } from "../../compile/compile.ts";
import type { ProxyReport } from "../../compile/health.ts";
import type { ObjectAlertWatch } from "../../compile/object-alerts.ts";
import { idOf } from "../../compile/outcome.ts";
import type { StatusPatch, Verdict } from "../../compile/verdict.ts";
import type { ObjectMeta, WorldObject } from "../../compile/world.ts";
import {
  channelSnapshot,
  noChannels,
  type ReachableChannel,
  removedChannels,
} from "../../delivery/channel-snapshot.ts";
import {
  type Delivery,
  type PendingAlert,
  type PendingTest,
  requestedTest,
  wants,
} from "../../delivery/pending-alert.ts";
import { PendingResolutions } from "../../delivery/pending-resolutions.ts";
import { type AlertEnding, objectAlertMessage, objectAlertTest, objectIncidentKey } from "./alert.ts";
import {
  endingOf,
  isOpen,
  markObjectAlertNotified,
  memoryFromStatus,
  type ObjectAlertMemory,
  type Watchable,
  withObjectChannelNames,
} from "./memory.ts";
import { advanceObjectAlerts, sightings, unwatched } from "./state.ts";

type Named = Pick<Verdict, "kind" | "meta">;
const nameOf = ({ kind, meta }: Named): string => `${kind}/${idOf(meta)}`;
const watchName = ({ kind, id }: ObjectAlertWatch): string => `${kind}/${id}`;
const isWatchable = <T extends Named>(object: T): object is T & { kind: Watchable } =>
  object.kind === "LLMProvider" || object.kind === "RoutingPolicy";

const metasOf = (others: Compiled["others"]): Map<string, ObjectMeta> =>
  new Map(others.filter(isWatchable).map((verdict) => [nameOf(verdict), verdict.meta]));

/** Whether it began and ended while the channel was silenced. */
const isSleptThrough = ({ over }: ObjectAlert, { silencedUntilMs }: Channel): boolean =>
  silencedUntilMs !== undefined && over !== undefined && Date.parse(over) <= silencedUntilMs;

export class ObjectAlertBook {
  #held = new Map<string, ObjectAlertMemory>();
  readonly #resolutions = new PendingResolutions();
  /** Of what is in memory; what was sent before it was forgotten is no news of it. */
  #epoch = 0;
  #nowMs = 0;

  /** What is in memory no longer counts: another process may have written since. */
  forget(): void {
    this.#held.clear();
    this.#epoch++;
    this.#resolutions.hold();
  }

  /** Reads statuses that nothing is known of yet. */
  learn(objects: readonly WorldObject[]): void {
    for (const object of objects) {
      if (!isWatchable(object)) continue;
      const name = nameOf(object);
      const known = this.#held.get(name);
      if (known?.meta.uid === object.meta.uid) continue;
      // A namesake that was made since.
      if (known !== undefined) this.#leave(known, [...known.reach.values()], "Deleted");
      this.#held.set(name, { ...memoryFromStatus(object.status), kind: object.kind, meta: object.meta });
    }
  }

  /** What is added to the objects' status. `values`: what Secrets hold, by digest. */
  report(
    { alarms, others }: Compiled,
    proxies: readonly ProxyReport[],
    readings: readonly WatchReading[],
    nowMs: number,
    values: ReadonlyMap<string, string> = new Map(),
  ): StatusPatch[] {
    this.#nowMs = nowMs;
    const patches: StatusPatch[] = [];
    const watches = new Map(alarms.map((watch) => [watchName(watch), watch]));
    const next = new Map<string, ObjectAlertMemory>();
    for (const verdict of others) {
      const name = nameOf(verdict);
      const before = isWatchable(verdict) ? this.#held.get(name) : undefined;
      if (before === undefined) continue;
      const watch = watches.get(name);
      const held =
        watch === undefined
          ? this.#unwatched(before, verdict)
          : this.#watched(before, watch, proxies, readings, values);
      next.set(name, { ...held, meta: verdict.meta });
      if (held.state.alarms.length > 0) patches.push({ verdict, status: { alerts: held.state.alarms } });
      if (held.test !== undefined) patches.push({ verdict, status: { alertTest: held.test } });
    }
    for (const [name, held] of this.#held) if (!next.has(name)) this.#leave(held, [...held.reach.values()], "Deleted");
    this.#held = next;
    this.#resolutions.release();
    this.#dropHeardAgain(alarms);
    return patches;
  }

  #watched(
    before: ObjectAlertMemory,
    watch: ObjectAlertWatch,
    proxies: readonly ProxyReport[],
    readings: readonly WatchReading[],
    values: ReadonlyMap<string, string>,
  ): ObjectAlertMemory {
    this.#leave(before, removedChannels(before.reach, watch.named), "ChannelRemoved");
    const state = advanceObjectAlerts(
      watch,
      withObjectChannelNames(before, watch.named, this.#nowMs),
      sightings(watch, proxies, readings),
      this.#nowMs,
    );
    const reach = isOpen(state, watch.named) ? channelSnapshot(before.reach, watch, values) : noChannels;
    return { ...before, state, named: watch.named, reach };
  }

  #unwatched(before: ObjectAlertMemory, verdict: Verdict): ObjectAlertMemory {
    // A mistake elsewhere in the object must not make it forget what was sent.
    if (verdict.refsUnknown) return before;
    this.#leave(before, [...before.reach.values()], "NotWatched");
    return { ...before, state: unwatched(before.state, this.#nowMs), named: [], reach: noChannels };
  }

  /** Channels notified of a start that the object no longer names must be notified of the end. */
  #leave(held: ObjectAlertMemory, reached: readonly ReachableChannel[], ending: AlertEnding): void {
    for (const alarm of held.state.alarms)
      for (const channel of reached) {
        const { id } = channel.channel;
        if (alarm.told.includes(id) && !alarm.toldOver.includes(id))
          this.#queueResolution(held, alarm, channel, ending);
      }
  }

  #queueResolution(
    { kind, meta }: ObjectAlertMemory,
    alarm: ObjectAlert,
    reached: ReachableChannel,
    ending: AlertEnding,
  ): void {
    const on = alarm.state === "Active";
    const ended = on ? { ...alarm, over: new Date(this.#nowMs).toISOString() } : alarm;
    const alert = objectAlertMessage({ kind, id: idOf(meta) }, ended, on ? ending : endingOf(alarm));
    this.#resolutions.add([{ kind, meta, alert, ...reached }]);
  }

  /** If the same receivers get the same alert again, it has not ended for them. */
  #dropHeardAgain(watches: readonly ObjectAlertWatch[]): void {
    for (const watch of watches) {
      const on = this.#held.get(watchName(watch))?.state.alarms.filter(({ state }) => state === "Active") ?? [];
      for (const { event } of on)
        this.#resolutions.drop(
          objectIncidentKey(watch, event),
          watch.channels.filter((channel) => wants(channel, event)),
        );
    }
  }

  /** What began or is over and was not told to all. Who was not told that it began hears that first. */
  due({ alarms }: Compiled): PendingAlert[] {
    return [...this.#resolutions.due(), ...alarms.flatMap((watch) => this.#dueOf(watch))];
  }

  #dueOf(watch: ObjectAlertWatch): PendingAlert[] {
    const held = this.#held.get(watchName(watch));
    // A look between two passes: names of channels are those of the next one already.
    if (held?.named !== watch.named) return [];
    return held.state.alarms.flatMap((alarm) =>
      [false, true].flatMap((over): PendingAlert[] => {
        if (over && alarm.state !== "Over") return [];
        const channels = watch.channels.filter((channel) => {
          const begun = alarm.told.includes(channel.id);
          // A channel notified of the start must be notified of the end, even if its `events` changed.
          if (over) return begun && !alarm.toldOver.includes(channel.id);
          return wants(channel, alarm.event) && !begun && !isSleptThrough(alarm, channel);
        });
        if (channels.length === 0) return [];
        const epoch = this.#epoch;
        const settled = (id: string, how: Delivery): void => {
          const channel = channels.find((each) => each.id === id);
          if (channel !== undefined && epoch === this.#epoch) this.#settled(held, alarm, over, channel, how);
        };
        return [
          {
            kind: watch.kind,
            meta: held.meta,
            alert: objectAlertMessage(watch, alarm, over ? endingOf(alarm) : null),
            channels,
            settled,
          },
        ];
      }),
    );
  }

  /** `then`: what was held of it when it was sent. */
  #settled(then: ObjectAlertMemory, alarm: ObjectAlert, over: boolean, channel: Channel, how: Delivery): void {
    const held = this.#held.get(nameOf(then));
    const same = held?.meta.uid === then.meta.uid ? held : undefined;
    const named = same?.named?.find(({ place }) => place === channel.place);
    if (same !== undefined && named !== undefined)
      same.state = markObjectAlertNotified(same.state, alarm, over, named.id, how);
    else if (over)
      this.#resolutions.drop(objectIncidentKey({ kind: then.kind, id: idOf(then.meta) }, alarm.event), [channel]);
    else if (how === "sent") this.#tooLate(then, same, alarm, channel);
  }

  /** It was notified of a start while it, or the object, was being removed. */
  #tooLate(then: ObjectAlertMemory, now: ObjectAlertMemory | undefined, alarm: ObjectAlert, channel: Channel): void {
    const nobodyLooks = now?.named?.length === 0 && now.state.alarms.every(({ state }) => state === "Over");
    const ending = now === undefined ? "Deleted" : nobodyLooks ? "NotWatched" : "ChannelRemoved";
    const latest =
      now?.state.alarms.find((candidate) => candidate.event === alarm.event && candidate.since === alarm.since) ??
      alarm;
    this.#queueResolution(then, latest, then.reach.get(channel.place) ?? { channel, kept: new Map() }, ending);
  }

  /** Objects whose channels are to be tried out, since their annotation says so. */
  testsDue({ alarms, others }: Compiled, nowMs: number): PendingTest[] {
    const metas = metasOf(others);
    return alarms.flatMap((watch): PendingTest[] => {
      const about = watchName(watch);
      const meta = metas.get(about);
      const requestedAt = requestedTest(meta, this.#held.get(about)?.test);
      if (meta === undefined || requestedAt === null) return [];
      const tested = (results: AlertTest["results"]): void => {
        const held = this.#held.get(about);
        if (held !== undefined) held.test = { requestedAt, results };
      };
      return [
        {
          about,
          namespace: meta.namespace,
          alert: objectAlertTest(watch, requestedAt, nowMs),
          channels: watch.channels,
          tested,
        },
      ];
    });
  }

  /** How many are on, by kind and event. */
  counts(): { kind: string; event: string; on: number }[] {
    const counts = new Map<string, { kind: string; event: string; on: number }>();
    for (const [name, memory] of this.#held)
      for (const { event, state } of memory.state.alarms) {
        const kind = name.slice(0, name.indexOf("/"));
        const count = counts.get(`${kind} ${event}`) ?? { kind, event, on: 0 };
        counts.set(`${kind} ${event}`, { ...count, on: count.on + (state === "Active" ? 1 : 0) });
      }
    return [...counts.values()];
  }
}
