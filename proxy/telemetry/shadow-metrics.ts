/** Metrics of copies of calls to policies' shadows. */
import type { Registry } from "prom-client";
import type { CallRecord } from "../call/record.ts";
import type { ComparedCall, Comparison, ShadowDrop } from "../config/shadow-report.ts";
import { GrowingMap } from "../growing-map.ts";
import { registerGauge } from "../metrics/register.ts";
import { CounterFamily, type CounterSeries, HistogramFamily, type HistogramSeries } from "../metrics/series.ts";

const nanoUsd = 1_000_000_000;
const similarityBuckets = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1];

export interface ShadowMetrics {
  /** `comparison`: null if the copy was broken off. */
  copied(copy: CallRecord, comparison: Comparison | null): void;
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

/** Calls that were copied, by policy and by the target that answered them. */
function originals(
  registry: Registry,
  durationBuckets: readonly number[],
): (route: string, call: ComparedCall) => void {
  const cost = new CounterFamily(registry, "ai_gateway_shadow_call_cost_total");
  const duration = new HistogramFamily(registry, "ai_gateway_shadow_call_duration_seconds", durationBuckets);
  const series = seriesByTarget((labels) => ({ cost: cost.of(labels), duration: duration.of(labels) }));
  return (route, { provider, model, costNanoUsd, durationMs }) => {
    const call = series(route, provider, model);
    call.cost.add((costNanoUsd ?? 0) / nanoUsd);
    call.duration.observe(durationMs / 1000);
  };
}

/** Keeps what `make` returns for each combination of labels. */
function seriesByTarget<S>(make: (labels: { route: string; provider: string; model: string }) => S) {
  const series = new GrowingMap(
    (route: string) =>
      new GrowingMap((provider: string) => new GrowingMap((model: string) => make({ route, provider, model }))),
  );
  return (route: string, provider: string, model: string): S => series.at(route).at(provider).at(model);
}

/** `durationBuckets`: the same as for calls. */
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
  const series = seriesByTarget(
    (labels): CopySeries => ({
      statuses: new GrowingMap((status) => copies.of({ ...labels, status: String(status) })),
      input: tokens.of({ ...labels, type: "input" }),
      output: tokens.of({ ...labels, type: "output" }),
      cost: cost.of(labels),
      duration: duration.of(labels),
      similarity: similarities.of(labels),
    }),
  );
  const original = originals(registry, durationBuckets);
  return {
    copied({ route, provider, model, status, usage, costNanoUsd, durationMs }, comparison) {
      const copy = series(route, provider, model);
      copy.statuses.at(status).add(1);
      copy.input.add(usage?.prompt ?? 0);
      copy.output.add(usage?.completion ?? 0);
      copy.cost.add((costNanoUsd ?? 0) / nanoUsd);
      copy.duration.observe(durationMs / 1000);
      if (comparison === null) return;
      original(route, comparison.call);
      if (comparison.similarity !== null) copy.similarity.observe(comparison.similarity);
    },
    dropped: (route, reason) => dropped.at(route).at(reason).add(1),
  };
}
