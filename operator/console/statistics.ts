/** Sums and percentiles over the proxies' counts of the last hour. Pure. */
import {
  type Activity,
  type TrafficFigure,
  type TrafficSeries,
  trafficFigures,
  trafficLatencyBoundsMs,
  trafficSlotMs,
  trafficSlots,
} from "../../proxy/config/activity.ts";

export type TrafficSum = Record<TrafficFigure, number> & { p50Ms: number | null; p95Ms: number | null };

/**
 * The value below which the given share of samples lies, interpolated within its bucket; null if there are no samples.
 */
export function percentile(buckets: readonly number[], share: number): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [index, count] of buckets.entries()) {
    if (count > 0 && below + count >= share * total) {
      const low = index === 0 ? 0 : (trafficLatencyBoundsMs[index - 1] ?? 0);
      const high = trafficLatencyBoundsMs[index] ?? low;
      return Math.round(low + ((share * total - below) / count) * (high - low));
    }
    below += count;
  }
  return null;
}

const slotNumber = (ms: number): number => Math.floor(ms / trafficSlotMs);

/** Counts of the slots that overlap the last `periodMs`. */
export function sumTraffic(series: readonly TrafficSeries[], nowMs: number, periodMs: number): TrafficSum {
  const first = slotNumber(nowMs - periodMs) + 1;
  const numbers = new Array<number>(trafficFigures.length + trafficLatencyBoundsMs.length + 1).fill(0);
  for (const { slots } of series)
    for (const [slot, counts] of slots)
      if (slot >= first) for (const [index, count] of counts.entries()) numbers[index] = (numbers[index] ?? 0) + count;
  const figures = Object.fromEntries(trafficFigures.map((name, index) => [name, numbers[index] ?? 0]));
  const buckets = numbers.slice(trafficFigures.length);
  return {
    ...(figures as Record<TrafficFigure, number>),
    p50Ms: percentile(buckets, 0.5),
    p95Ms: percentile(buckets, 0.95),
  };
}

export interface TrafficPoint {
  atMs: number;
  calls: number;
  errors: number;
  refused: number;
  costNanoUsd: number;
}

/** The last hour, one point per slot, oldest first. */
export function timeline(series: readonly TrafficSeries[], nowMs: number): TrafficPoint[] {
  const last = slotNumber(nowMs);
  const points = Array.from(
    { length: trafficSlots },
    (_, index): TrafficPoint => ({
      atMs: (last - trafficSlots + 1 + index) * trafficSlotMs,
      calls: 0,
      errors: 0,
      refused: 0,
      costNanoUsd: 0,
    }),
  );
  const index = (name: TrafficFigure): number => trafficFigures.indexOf(name);
  for (const { slots } of series)
    for (const [slot, counts] of slots) {
      const point = points[slot - last + trafficSlots - 1];
      if (point === undefined) continue;
      for (const name of ["calls", "errors", "refused", "costNanoUsd"] as const)
        point[name] += counts[index(name)] ?? 0;
    }
  return points;
}

export const seriesOf = (activities: readonly Activity[], kind: TrafficSeries["kind"]): TrafficSeries[] =>
  activities.flatMap(({ series }) => series.filter((sery) => sery.kind === kind));
