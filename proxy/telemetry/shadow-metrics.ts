/** Metrics of copies of calls to policies' shadows. */
import type { Registry } from "prom-client";
import type { CallRecord } from "../call/record.ts";
import type { ShadowDrop } from "../config/shadow-report.ts";
import { GrowingMap } from "../growing-map.ts";
import { registerGauge } from "../metrics/register.ts";
import { CounterFamily, type CounterSeries, HistogramFamily, type HistogramSeries } from "../metrics/series.ts";

const nanoUsd = 1_000_000_000;
const similarityBuckets = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1];

export interface ShadowMetrics {
  copied(copy: CallRecord, similarity: number | null): void;
  dropped(route: string, reason: ShadowDrop): void;
}

interface CopySeries {
  statuses: GrowingMap<number, CounterSeries>;
  input: CounterSeries;
  output: CounterSeries;
  cost: CounterSeries;
  duration: HistogramSeries;
  similarity: HistogramSeries;
}

/** `durationBuckets`: as of calls. */
export function shadowMetrics(
  registry: Registry,
  room: () => { underWay: number; heldBytes: number },
  durationBuckets: readonly number[],
): ShadowMetrics {
  registerGauge(registry, "ai_gateway_shadow_copies_in_flight", (gauge) => gauge.set(room().underWay));
  registerGauge(registry, "ai_gateway_shadow_held_bytes", (gauge) => gauge.set(room().heldBytes));
  const copies = new CounterFamily(registry, "ai_gateway_shadow_copies_total");
  const tokens = new CounterFamily(registry, "ai_gateway_shadow_tokens_total");
  const cost = new CounterFamily(registry, "ai_gateway_shadow_cost_total");
  const duration = new HistogramFamily(registry, "ai_gateway_shadow_duration_seconds", durationBuckets);
  const similarities = new HistogramFamily(registry, "ai_gateway_shadow_similarity", similarityBuckets);
  const drops = new CounterFamily(registry, "ai_gateway_shadow_dropped_total");
  const dropped = new GrowingMap(
    (route: string) => new GrowingMap((reason: ShadowDrop) => drops.of({ route, reason })),
  );
  const seriesOf = (route: string, provider: string, model: string): CopySeries => {
    const labels = { route, provider, model };
    return {
      statuses: new GrowingMap((status) => copies.of({ ...labels, status: String(status) })),
      input: tokens.of({ ...labels, type: "input" }),
      output: tokens.of({ ...labels, type: "output" }),
      cost: cost.of(labels),
      duration: duration.of(labels),
      similarity: similarities.of(labels),
    };
  };
  const series = new GrowingMap(
    (route: string) =>
      new GrowingMap((provider: string) => new GrowingMap((model: string) => seriesOf(route, provider, model))),
  );
  return {
    copied({ route, provider, model, status, usage, costNanoUsd, durationMs }, similarity) {
      const copies = series.at(route).at(provider).at(model);
      copies.statuses.at(status).add(1);
      copies.input.add(usage?.prompt ?? 0);
      copies.output.add(usage?.completion ?? 0);
      copies.cost.add((costNanoUsd ?? 0) / nanoUsd);
      copies.duration.observe(durationMs / 1000);
      if (similarity !== null) copies.similarity.observe(similarity);
    },
    dropped: (route, reason) => dropped.at(route).at(reason).add(1),
  };
}
