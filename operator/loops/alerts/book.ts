/**
 * The alerts of LLMProviders and RoutingPolicies (`alertWhen`), from the status that this or an earlier leader wrote and
 * from the proxies' reports. The status changes when an alert begins, ends or is delivered.
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
import { DeliveryEpoch } from "../../delivery/delivery-epoch.ts";
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
  readonly #epoch = new DeliveryEpoch();
  #nowMs = 0;

  /** Clears the memory: another process may have written statuses since. */
  forget(): void {
    this.#held.clear();
    this.#epoch.next();
    this.#resolutions.hold();
  }

  /** Reads the statuses of objects that are not in memory yet. */
  learn(objects: readonly WorldObject[]): void {
    for (const object of objects) {
      if (!isWatchable(object)) continue;
      const name = nameOf(object);
      const memory = this.#held.get(name);
      if (memory?.meta.uid === object.meta.uid) continue;
      // Deleted, and created again with the same name.
      if (memory !== undefined) this.#leave(memory, [...memory.reach.values()], "Deleted");
      this.#held.set(name, { ...memoryFromStatus(object.status), kind: object.kind, meta: object.meta });
    }
  }

  /** Returns what to add to the objects' statuses. `values`: values of Secrets, by digest. */
  report(
    { alertWatches, others }: Compiled,
    proxies: readonly ProxyReport[],
    readings: readonly WatchReading[],
    nowMs: number,
    values: ReadonlyMap<string, string> = new Map(),
  ): StatusPatch[] {
    this.#nowMs = nowMs;
    const patches: StatusPatch[] = [];
    const watches = new Map(alertWatches.map((watch) => [watchName(watch), watch]));
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
      if (held.state.alerts.length > 0) patches.push({ verdict, status: { alerts: held.state.alerts } });
      if (held.test !== undefined) patches.push({ verdict, status: { alertTest: held.test } });
    }
    for (const [name, held] of this.#held) if (!next.has(name)) this.#leave(held, [...held.reach.values()], "Deleted");
    this.#held = next;
    this.#resolutions.release();
    this.#dropReopened(alertWatches);
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
    // A mistake elsewhere in the object must not make the book forget what was sent.
    if (verdict.refsUnknown) return before;
    this.#leave(before, [...before.reach.values()], "NotWatched");
    return { ...before, state: unwatched(before.state, this.#nowMs), named: [], reach: noChannels };
  }

  /** Channels notified of a start that the object no longer names must be notified of the end. */
  #leave(held: ObjectAlertMemory, reached: readonly ReachableChannel[], ending: AlertEnding): void {
    for (const alert of held.state.alerts)
      for (const channel of reached) {
        const { id } = channel.channel;
        if (alert.told.includes(id) && !alert.toldOver.includes(id))
          this.#queueResolution(held, alert, channel, ending);
      }
  }

  #queueResolution(
    { kind, meta }: ObjectAlertMemory,
    alert: ObjectAlert,
    reached: ReachableChannel,
    ending: AlertEnding,
  ): void {
    const on = alert.state === "Active";
    const ended = on ? { ...alert, over: new Date(this.#nowMs).toISOString() } : alert;
    const message = objectAlertMessage({ kind, id: idOf(meta) }, ended, on ? ending : endingOf(alert));
    this.#resolutions.add([{ kind, meta, alert: message, ...reached }]);
  }

  /** Drops a pending end if its alert is active again for the same receivers. */
  #dropReopened(watches: readonly ObjectAlertWatch[]): void {
    for (const watch of watches) {
      const on = this.#held.get(watchName(watch))?.state.alerts.filter(({ state }) => state === "Active") ?? [];
      for (const { event } of on)
        this.#resolutions.drop(
          objectIncidentKey(watch, event),
          watch.channels.filter((channel) => wants(channel, event)),
        );
    }
  }

  /** Starts and ends that channels have yet to be notified of. A channel gets the start before the end. */
  due({ alertWatches }: Compiled): PendingAlert[] {
    return [...this.#resolutions.due(), ...alertWatches.flatMap((watch) => this.#dueOf(watch))];
  }

  #dueOf(watch: ObjectAlertWatch): PendingAlert[] {
    const held = this.#held.get(watchName(watch));
    // Between two passes, `watch` can already have the channel names of the next one.
    if (held?.named !== watch.named) return [];
    return held.state.alerts.flatMap((alert) =>
      [false, true].flatMap((over): PendingAlert[] => {
        if (over && alert.state !== "Over") return [];
        const channels = watch.channels.filter((channel) => {
          const begun = alert.told.includes(channel.id);
          // A channel notified of the start must be notified of the end, even if its `events` changed.
          if (over) return begun && !alert.toldOver.includes(channel.id);
          return wants(channel, alert.event) && !begun && !isSleptThrough(alert, channel);
        });
        if (channels.length === 0) return [];
        return [
          {
            kind: watch.kind,
            meta: held.meta,
            alert: objectAlertMessage(watch, alert, over ? endingOf(alert) : null),
            channels,
            settled: this.#epoch.listener(channels, (channel, how) => this.#settled(held, alert, over, channel, how)),
          },
        ];
      }),
    );
  }

  /** `then`: the memory at the time of sending. */
  #settled(then: ObjectAlertMemory, alert: ObjectAlert, over: boolean, channel: Channel, how: Delivery): void {
    const held = this.#held.get(nameOf(then));
    const same = held?.meta.uid === then.meta.uid ? held : undefined;
    const named = same?.named?.find(({ place }) => place === channel.place);
    if (same !== undefined && named !== undefined)
      same.state = markObjectAlertNotified(same.state, alert, over, named.id, how);
    else if (over)
      this.#resolutions.drop(objectIncidentKey({ kind: then.kind, id: idOf(then.meta) }, alert.event), [channel]);
    else if (how === "sent") this.#tooLate(then, same, alert, channel);
  }

  /** The channel was notified of a start while it or the object was being removed: send it the end too. */
  #tooLate(then: ObjectAlertMemory, now: ObjectAlertMemory | undefined, alert: ObjectAlert, channel: Channel): void {
    const nobodyLooks = now?.named?.length === 0 && now.state.alerts.every(({ state }) => state === "Over");
    const ending = now === undefined ? "Deleted" : nobodyLooks ? "NotWatched" : "ChannelRemoved";
    const latest =
      now?.state.alerts.find((candidate) => candidate.event === alert.event && candidate.since === alert.since) ??
      alert;
    this.#queueResolution(then, latest, then.reach.get(channel.place) ?? { channel, kept: new Map() }, ending);
  }

  /** Objects whose annotation asks for a test of their channels. */
  testsDue({ alertWatches, others }: Compiled, nowMs: number): PendingTest[] {
    const metas = metasOf(others);
    return alertWatches.flatMap((watch): PendingTest[] => {
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

  /** Number of active alerts, by kind and event. */
  counts(): { kind: string; event: string; on: number }[] {
    const counts = new Map<string, { kind: string; event: string; on: number }>();
    for (const [name, memory] of this.#held)
      for (const { event, state } of memory.state.alerts) {
        const kind = name.slice(0, name.indexOf("/"));
        const count = counts.get(`${kind} ${event}`) ?? { kind, event, on: 0 };
        counts.set(`${kind} ${event}`, { ...count, on: count.on + (state === "Active" ? 1 : 0) });
      }
    return [...counts.values()];
  }
}
