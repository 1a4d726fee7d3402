/**
 * Judges spec.alertWhen of a provider or policy, from the proxies' reports and the alerts in its status. Pure. Each
 * alert is reported once when it begins and once when it ends.
 */
import type { ObjectAlert, ObjectAlertEvent } from "../../../crds/types/object-alerts.ts";
import type { WatchReading } from "../../../proxy/config/watch.ts";
import type { ProviderReport, ProxyReport } from "../../compile/health.ts";
import type { ObjectAlertWatch } from "../../compile/object-alerts.ts";

/** State of one event. */
export interface Sighting {
  on: boolean;
  value: string;
  bound: string;
  detail: string;
}

/** An alert ends after its condition has been absent for this long, so that a flapping condition is reported once. */
export const quietMs = 60_000;
/** The 95th percentile exceeds a bound if more than this share of calls does. */
const tail = 0.05;
const maxNames = 8;

type Counts = WatchReading["counts"];

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;
const minutes = (ms: number): string => `${ms / 60_000} min`;
const seconds = (ms: number): string => (ms < 1_000 ? `${ms}ms` : `${ms / 1_000}s`);

/** The sum over proxies that count with the watch's current bounds; null if none does yet. */
function added(watch: ObjectAlertWatch, readings: readonly WatchReading[]): Counts | null {
  const { windowMs, latencyMs, firstTokenMs } = watch.counting;
  const mine = readings.filter(
    ({ kind, id, config }) =>
      kind === watch.kind &&
      id === watch.id &&
      config.windowMs === windowMs &&
      config.latencyMs === latencyMs &&
      config.firstTokenMs === firstTokenMs,
  );
  const [first, ...rest] = mine.map((sample) => sample.counts);
  if (first === undefined) return null;
  const sum = { ...first };
  for (const counts of rest) for (const figure of Object.keys(sum) as (keyof Counts)[]) sum[figure] += counts[figure];
  return sum;
}

function listed(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const shown = [...counts].slice(0, maxNames).map(([name, proxies]) => `${name} on ${proxies}`);
  return [...shown, ...(counts.size > maxNames ? [`${counts.size - maxNames} more`] : [])].join(", ");
}

function breakerOpen(
  { counting }: ObjectAlertWatch,
  proxies: readonly ProviderReport[],
  counts: Counts | null,
): Sighting | null {
  if (proxies.length === 0) return null;
  const open = proxies.flatMap((proxy) => proxy.open);
  const times = counts?.opened ?? 0;
  const names = listed(open);
  const often = `${times} ${times === 1 ? "time" : "times"}`;
  const before = times === 0 ? "" : `opened ${often} in the last ${minutes(counting.windowMs)}`;
  const now = open.length === 0 ? "" : `open for ${names}`;
  const detail = [now, before].filter((part) => part !== "").join("; ");
  return {
    on: detail !== "",
    value: open.length === 0 ? often : names,
    bound: "",
    detail: detail === "" ? "breakers are closed on all proxies" : detail,
  };
}

function unhealthy(proxies: readonly ProviderReport[]): Sighting | null {
  const reporting = proxies.filter((proxy) => proxy.healthy !== null);
  if (reporting.length === 0) return null;
  const ill = reporting.filter((report) => report.healthy === false);
  if (ill.length === 0)
    return {
      on: false,
      value: `${reporting.length}/${reporting.length}`,
      bound: "",
      detail: `${reporting.length} of ${reporting.length} proxies reach it`,
    };
  const reasons = listed(ill.flatMap((report) => report.reason ?? []));
  return {
    on: true,
    value: `${reporting.length - ill.length}/${reporting.length}`,
    bound: "",
    detail: `${ill.length} of ${reporting.length} proxies don't reach it: ${reasons}`,
  };
}

interface Share {
  part: number;
  total: number;
  /** The alert is on above this share. */
  limit: number;
  /** The limit as the alert states it. */
  bound: string;
  what: string;
}

function above({ counting, minimumRequests }: ObjectAlertWatch, { part, total, limit, bound, what }: Share): Sighting {
  const share = total === 0 ? 0 : Math.min(1, part / total);
  const value = percent(share);
  const time = `in the last ${minutes(counting.windowMs)}`;
  if (total < minimumRequests)
    return { on: false, value, bound, detail: `${total} ${time}; at least ${minimumRequests} are needed to judge` };
  return { on: share > limit, value, bound, detail: `${value} of ${total} ${what} ${time}` };
}

function judged(watch: ObjectAlertWatch, event: ObjectAlertEvent, counts: Counts): Sighting {
  const { counting, failover, errorRate, kind } = watch;
  const calls = kind === "LLMProvider" ? "attempts" : "calls";
  const total = counts.calls;
  if (event === "ErrorRate") {
    const limit = errorRate ?? 1;
    return above(watch, { part: counts.errors, total, limit, bound: percent(limit), what: `${calls} failed` });
  }
  if (event === "Failover") {
    const limit = failover ?? 1;
    const what = `${calls} failed over to another provider`;
    return above(watch, { part: counts.moved, total, limit, bound: percent(limit), what });
  }
  const latency = event === "Latency";
  const bound = seconds((latency ? counting.latencyMs : counting.firstTokenMs) ?? 0);
  const what = latency ? `answers took longer than ${bound}` : `streams began later than after ${bound}`;
  return latency
    ? above(watch, { part: counts.slow, total: counts.timed, limit: tail, bound, what })
    : above(watch, { part: counts.late, total: counts.firstTokens, limit: tail, bound, what });
}

/** Current state of each watched event; null if unknown. */
export function sightings(
  watch: ObjectAlertWatch,
  proxies: readonly ProxyReport[],
  readings: readonly WatchReading[],
): Map<ObjectAlertEvent, Sighting | null> {
  const reports = proxies.flatMap((report) => report.get(watch.id) ?? []);
  const counts = added(watch, readings);
  const sightingOf = (event: ObjectAlertEvent): Sighting | null => {
    if (event === "BreakerOpen") return breakerOpen(watch, reports, counts);
    if (event === "Unhealthy") return unhealthy(reports);
    return counts === null ? null : judged(watch, event, counts);
  };
  return new Map(watch.events.map((event) => [event, sightingOf(event)]));
}

export interface ObjectAlertState {
  alerts: readonly ObjectAlert[];
  /** When the condition of each active alert was last seen to stop. */
  quietSinceMs: ReadonlyMap<ObjectAlertEvent, number>;
}

const iso = (ms: number): string => new Date(ms).toISOString();
const bounded = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;

const begun = (event: ObjectAlertEvent, { value, bound, detail }: Sighting, nowMs: number): ObjectAlert => ({
  event,
  state: "Active",
  since: iso(nowMs),
  value: bounded(value, 256),
  bound: bounded(bound, 32),
  detail: bounded(detail, 512),
  told: [],
  toldOver: [],
});

const ended = (alert: ObjectAlert, ending: "Recovered" | "NotWatched", detail: string, nowMs: number): ObjectAlert => ({
  ...alert,
  state: "Over",
  over: iso(nowMs),
  ending,
  detail: bounded(detail, 512),
});

const left = (alert: ObjectAlert, nowMs: number): ObjectAlert =>
  ended(alert, "NotWatched", "it is no longer watched", nowMs);

/** The state once alertWhen is removed: active alerts end. */
export const unwatched = ({ alerts }: ObjectAlertState, nowMs: number): ObjectAlertState => ({
  alerts: alerts.filter(({ state }) => state === "Active").map((alert) => left(alert, nowMs)),
  quietSinceMs: new Map(),
});

/** One event's next state. `quiet`: since when its condition has been absent. */
function next(
  event: ObjectAlertEvent,
  before: ObjectAlert | undefined,
  sighting: Sighting | null,
  quiet: number | undefined,
  nowMs: number,
) {
  const on = before?.state === "Active";
  if (sighting === null) return { alert: before, quiet: on ? quiet : undefined };
  if (sighting.on) return { alert: on ? before : begun(event, sighting, nowMs), quiet: undefined };
  if (!on) return { alert: before, quiet: undefined };
  const since = quiet ?? nowMs;
  return nowMs - since < quietMs
    ? { alert: before, quiet: since }
    : { alert: ended(before, "Recovered", sighting.detail, nowMs), quiet: undefined };
}

export function advanceObjectAlerts(
  watch: ObjectAlertWatch,
  before: ObjectAlertState,
  seen: ReadonlyMap<ObjectAlertEvent, Sighting | null>,
  nowMs: number,
): ObjectAlertState {
  const alerts: ObjectAlert[] = [];
  const quietSinceMs = new Map<ObjectAlertEvent, number>();
  for (const [event, sighting] of seen) {
    const following = next(
      event,
      before.alerts.find((alert) => alert.event === event),
      sighting,
      before.quietSinceMs.get(event),
      nowMs,
    );
    if (following.alert !== undefined) alerts.push(following.alert);
    if (following.quiet !== undefined) quietSinceMs.set(event, following.quiet);
  }
  // A channel notified of the start must learn that the condition is no longer watched.
  for (const alert of before.alerts) {
    if (seen.has(alert.event)) continue;
    if (alert.state === "Active") alerts.push(left(alert, nowMs));
    else if (watch.named.some(({ id }) => alert.told.includes(id) && !alert.toldOver.includes(id))) alerts.push(alert);
  }
  return { alerts, quietSinceMs };
}
