/**
 * The state of budgets, from the status that this or an earlier leader wrote and from the proxies' reports. It is kept
 * in memory between passes. The status is written when a threshold is crossed or an alert is delivered, and otherwise
 * every 30 seconds.
 */
import type { AlertTest } from "../../../crds/types/alerts.ts";
import { type BudgetCrossing, type BudgetUnresolved, budgetStatus } from "../../../crds/types/budget-status.ts";
import type { BudgetReadings, BudgetSeed } from "../../../proxy/config/budget.ts";
import { type Channel, hasIncidents } from "../../compile/alerts.ts";
import type { BudgetWatch } from "../../compile/budgets.ts";
import type { Compiled } from "../../compile/compile.ts";
import { idOf, isError } from "../../compile/outcome.ts";
import type { StatusPatch, Verdict } from "../../compile/verdict.ts";
import type { ObjectMeta, WorldObject } from "../../compile/world.ts";
import {
  channelSnapshot,
  noChannels,
  type ReachableChannel,
  removedChannels,
} from "../../delivery/channel-snapshot.ts";
import { DeliveryEpoch } from "../../delivery/delivery-epoch.ts";
import type { Alert } from "../../delivery/message.ts";
import {
  type Delivery,
  type PendingAlert,
  type PendingTest,
  requestedTest,
  wants,
} from "../../delivery/pending-alert.ts";
import { PendingResolutions } from "../../delivery/pending-resolutions.ts";
import { advanceBudget } from "./advance.ts";
import { budgetAlert, budgetIncidentKey, budgetOver, budgetTest, pastBudgetIncidentKey } from "./alert.ts";
import { openIncidents, unresolvedOf } from "./incidents.ts";
import {
  type BudgetMemory,
  incidentChannels,
  isNoNews,
  markBudgetNotified,
  resolvedIn,
  withBudgetChannelNames,
} from "./memory.ts";
import { boundedSeeds, seedsOf } from "./seeds.ts";
import type { BudgetState } from "./state.ts";
import { exceeded, expired, stateFromStatus, statusFromState } from "./status.ts";

/** Sums change with every request, and are not written as often. */
const reportEveryMs = 30_000;
/** Each change of seeds is a new revision for all proxies. */
const seedEveryMs = 300_000;

const metasOf = (others: Compiled["others"]): Map<string, ObjectMeta> =>
  new Map(others.filter(({ kind }) => kind === "Budget").map(({ meta }) => [idOf(meta), meta]));

function conditionsOf(watch: BudgetWatch, state: BudgetState, nowMs: number): Verdict["conditions"] {
  const expiry = expired(watch, nowMs);
  return [
    { type: "Exceeded", ...exceeded(watch, state, nowMs) },
    ...(expiry === null ? [] : [{ type: "Expired", ...expiry }]),
  ];
}

export class BudgetBook {
  #held = new Map<string, BudgetMemory>();
  #tests = new Map<string, AlertTest>();
  readonly #resolutions = new PendingResolutions();
  readonly #epoch = new DeliveryEpoch();
  #nowMs = 0;
  #seeds: BudgetSeed[] = [];
  #seededAtMs = 0;

  /** Clears the memory: another process may have written statuses since. */
  forget(): void {
    this.#held.clear();
    this.#tests.clear();
    this.#seededAtMs = 0;
    this.#epoch.next();
    this.#resolutions.hold();
  }

  /** Reads the statuses of budgets that are not in memory yet. */
  learn(objects: readonly WorldObject[]): void {
    for (const object of objects) {
      const { kind, meta } = object;
      if (kind !== "Budget" || this.#held.has(idOf(meta))) continue;
      const parsed = budgetStatus.safeParse(object.status);
      if (!parsed.success) continue;
      const { conditions: _conditions, observedGeneration: _generation, why: _why, alertTest, ...shown } = parsed.data;
      if (alertTest !== undefined && !this.#tests.has(idOf(meta))) this.#tests.set(idOf(meta), alertTest);
      const state = stateFromStatus(parsed.data);
      if (state !== null)
        this.#held.set(idOf(meta), {
          meta,
          state,
          reported: state,
          reportedAtMs: 0,
          shown,
          named: null,
          reach: noChannels,
        });
    }
  }

  /** The seeds to publish. `rendered`: those that are published now. */
  seeds(watches: readonly BudgetWatch[], rendered: readonly BudgetSeed[], nowMs: number): readonly BudgetSeed[] {
    if (this.#seededAtMs === 0) this.#seeds = [...rendered];
    if (this.#seededAtMs !== 0 && nowMs - this.#seededAtMs < seedEveryMs) return this.#seeds;
    this.#seededAtMs = nowMs;
    const next = watches.flatMap((watch) => {
      const held = this.#held.get(watch.config.id);
      return held === undefined ? [] : seedsOf(watch, held.state, this.#seeds);
    });
    this.#seeds = boundedSeeds(next);
    return this.#seeds;
  }

  /** Returns what to add to the budgets' statuses. `values`: values of Secrets, by digest. */
  report(
    { watches, others }: Compiled,
    reports: readonly BudgetReadings[],
    nowMs: number,
    values: ReadonlyMap<string, string> = new Map(),
  ): StatusPatch[] {
    this.#nowMs = nowMs;
    const patches: StatusPatch[] = [];
    const byId = new Map(watches.map((watch) => [watch.config.id, watch]));
    const next = new Map<string, BudgetMemory>();
    const tests = new Map<string, AlertTest>();
    for (const verdict of others) {
      if (verdict.kind !== "Budget") continue;
      const id = idOf(verdict.meta);
      const watch = byId.get(id);
      const tested = this.#tests.get(id);
      if (tested !== undefined) {
        tests.set(id, tested);
        patches.push({ verdict, status: { alertTest: tested } });
      }
      const before = this.#held.get(id);
      const held =
        watch === undefined
          ? this.#unwatched(before, verdict)
          : this.#watched(watch, before, verdict.meta, reports, values);
      if (held === null) continue;
      next.set(id, { ...held, meta: verdict.meta });
      const conditions = watch === undefined ? [] : conditionsOf(watch, held.reported, nowMs);
      patches.push({ verdict, status: held.shown, conditions });
    }
    for (const [id, held] of this.#held) if (!next.has(id)) this.#leave(held, [...held.reach.values()]);
    this.#held = next;
    this.#tests = tests;
    this.#resolutions.release();
    this.#dropReopened(watches);
    return patches;
  }

  /** A mistake elsewhere in the object must not make the book forget what was sent. */
  #unwatched(before: BudgetMemory | undefined, verdict: Verdict): BudgetMemory | null {
    return before !== undefined && verdict.accepted.some(isError) ? before : null;
  }

  #watched(
    watch: BudgetWatch,
    known: BudgetMemory | undefined,
    meta: ObjectMeta,
    reports: readonly BudgetReadings[],
    values: ReadonlyMap<string, string>,
  ): BudgetMemory | null {
    const mine = incidentChannels(watch);
    if (known !== undefined) this.#leave(known, removedChannels(known.reach, mine.named));
    const before = known === undefined ? null : withBudgetChannelNames(known, watch.named);
    const state = advanceBudget(watch, before, reports, this.#nowMs);
    if (state === null) return null;
    const open = state.crossings.length > 0 || state.unresolved.length > 0;
    const kept = {
      meta,
      state,
      named: watch.named,
      reach: open ? channelSnapshot(known?.reach ?? noChannels, mine, values) : noChannels,
    };
    if (known !== undefined && isNoNews(known.reported, state) && this.#nowMs - known.reportedAtMs < reportEveryMs)
      return { ...known, ...kept, shown: statusFromState(watch, known.reported) };
    return { ...kept, reported: state, reportedAtMs: this.#nowMs, shown: statusFromState(watch, state) };
  }

  /** Channels with an open incident that the budget no longer names must be notified that it ended. */
  #leave({ meta, state }: BudgetMemory, reached: readonly ReachableChannel[]): void {
    for (const incident of openIncidents(state, this.#nowMs))
      for (const each of reached)
        if (incident.channels.includes(each.channel.id)) this.#queueResolution(meta, incident, each);
  }

  #queueResolution(meta: ObjectMeta, incident: BudgetUnresolved, reached: ReachableChannel): void {
    this.#resolutions.add([{ kind: "Budget", meta, alert: budgetOver(idOf(meta), incident), ...reached }]);
  }

  /** Drops a pending end if its alert is active again for the same receivers. */
  #dropReopened(watches: readonly BudgetWatch[]): void {
    for (const { config, channels } of watches) {
      const held = this.#held.get(config.id);
      if (held === undefined) continue;
      const { crossings, periodStartMs } = held.state;
      for (const crossing of crossings)
        this.#resolutions.drop(
          budgetIncidentKey(config.id, periodStartMs, crossing),
          channels.filter((channel) => wants(channel, crossing.event)),
        );
    }
  }

  /** Crossings that channels have yet to be notified of, and ends of incidents. */
  due({ watches }: Compiled): PendingAlert[] {
    return [...this.#resolutions.due(), ...watches.flatMap((watch) => this.#dueOf(watch))];
  }

  #dueOf(watch: BudgetWatch): PendingAlert[] {
    const held = this.#held.get(watch.config.id);
    // Between two passes, `watch` can already have the channel names of the next one.
    if (held?.named !== watch.named) return [];
    const { crossings, unresolved, periodStartMs, resetsAtMs } = held.state;
    const { id } = watch.config;
    const due = (
      alert: Alert,
      channels: Channel[],
      settled: (channel: Channel, how: Delivery) => void,
    ): PendingAlert[] => {
      if (channels.length === 0) return [];
      return [{ kind: "Budget", meta: held.meta, alert, channels, settled: this.#epoch.listener(channels, settled) }];
    };
    return [
      ...unresolved.flatMap((incident) => {
        const channels = watch.channels.filter((channel) => incident.channels.includes(channel.id));
        return due(budgetOver(id, incident), channels, (channel) => this.#resolved(held, incident, channel));
      }),
      ...crossings.flatMap((crossing) => {
        const channels = watch.channels.filter(
          (channel) => wants(channel, crossing.event) && !crossing.told.includes(channel.id),
        );
        const alert = budgetAlert(watch, crossing, resetsAtMs, budgetIncidentKey(id, periodStartMs, crossing));
        return due(alert, channels, (channel, how) => this.#notified(held, crossing, channel, how));
      }),
    ];
  }

  /** The current memory, and its name for the channel. */
  #now(then: BudgetMemory, channel: Channel): { held: BudgetMemory; name: string } | null {
    const held = this.#held.get(idOf(then.meta));
    const name = held?.named?.find(({ place }) => place === channel.place)?.id;
    return held === undefined || name === undefined ? null : { held, name };
  }

  /** A channel is done with a crossing. `then`: the memory at the time of sending. */
  #notified(then: BudgetMemory, crossing: BudgetCrossing, channel: Channel, how: Delivery): void {
    const { periodStartMs } = then.state;
    const now = this.#now(then, channel);
    if (now !== null)
      now.held.state = markBudgetNotified(now.held.state, { crossing, periodStartMs }, now.name, how, this.#nowMs);
    else if (how === "sent" && hasIncidents(channel.id)) {
      const incident = unresolvedOf(crossing, periodStartMs, [channel.id], this.#nowMs);
      this.#queueResolution(then.meta, incident, then.reach.get(channel.place) ?? { channel, kept: new Map() });
    }
  }

  /** A channel is done with the end of an incident. */
  #resolved(then: BudgetMemory, incident: BudgetUnresolved, channel: Channel): void {
    const now = this.#now(then, channel);
    if (now === null) this.#resolutions.drop(pastBudgetIncidentKey(idOf(then.meta), incident), [channel]);
    else now.held.state = resolvedIn(now.held.state, incident, now.name);
  }

  /** Budgets whose annotation asks for a test of their channels. */
  testsDue({ watches, others }: Compiled, nowMs: number): PendingTest[] {
    const metas = metasOf(others);
    return watches.flatMap((watch): PendingTest[] => {
      const { id, namespace } = watch.config;
      const requestedAt = requestedTest(metas.get(id), this.#tests.get(id));
      if (requestedAt === null) return [];
      const tested = (results: AlertTest["results"]): void => void this.#tests.set(id, { requestedAt, results });
      return [
        {
          about: `Budget/${id}`,
          namespace,
          alert: budgetTest(watch, requestedAt, nowMs),
          channels: watch.channels,
          tested,
        },
      ];
    });
  }
}
