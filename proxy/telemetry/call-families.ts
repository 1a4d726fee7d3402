/** The metric families of calls, and an installation's settings for them. */
import type { Registry } from "prom-client";
import type { CallerLabelName } from "../metrics/caller-labels.ts";
import { CounterFamily, HistogramFamily } from "../metrics/series.ts";

export interface CallMetricsOptions {
  /** Labels that identify the caller. */
  labels: readonly CallerLabelName[];
  /** Most combinations of their values; further ones are `other`. */
  maxCallers: number;
  buckets: Readonly<Record<"duration" | "tokens" | "cost", readonly number[]>>;
}

export const defaultCallMetrics: CallMetricsOptions = {
  labels: [],
  maxCallers: 1000,
  buckets: {
    duration: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
    tokens: [10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 100_000, 500_000],
    cost: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
  },
};

/** Fine at the low end, for the gateway's own share. */
const timeBuckets = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const similarityBuckets = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999];

export const callFamilies = (registry: Registry, { buckets }: CallMetricsOptions) => ({
  requests: new CounterFamily(registry, "ai_gateway_requests_total"),
  errors: new CounterFamily(registry, "ai_gateway_errors_total"),
  unauthorized: new CounterFamily(registry, "ai_gateway_unauthorized_attempts_total"),
  unauthorizedAlias: new CounterFamily(registry, "ai_gateway_unauthorized_attempts"),
  tokens: new CounterFamily(registry, "ai_gateway_tokens_total"),
  duration: new HistogramFamily(registry, "ai_request_duration", buckets.duration),
  firstToken: new HistogramFamily(registry, "ai_time_to_first_token", buckets.duration),
  time: new HistogramFamily(registry, "ai_gateway_time_seconds", timeBuckets),
  tokenCount: new HistogramFamily(registry, "ai_token_count", buckets.tokens),
  costPerRequest: new HistogramFamily(registry, "ai_cost_per_request", buckets.cost),
  attempts: new CounterFamily(registry, "ai_gateway_upstream_attempts_total"),
  failover: new CounterFamily(registry, "ai_gateway_provider_failover_total"),
  cost: new CounterFamily(registry, "ai_gateway_cost_total"),
  units: new CounterFamily(registry, "ai_gateway_units_total"),
  unpriced: new CounterFamily(registry, "ai_gateway_unpriced_requests_total"),
  implausible: new CounterFamily(registry, "ai_gateway_implausible_usage_total"),
  detected: new CounterFamily(registry, "ai_gateway_pii_detected_total"),
  masked: new CounterFamily(registry, "ai_gateway_data_masked_total"),
  maskedAlias: new CounterFamily(registry, "ai_gateway_masked_total"),
  cached: new CounterFamily(registry, "ai_gateway_cache_requests_total"),
  lookups: new CounterFamily(registry, "ai_gateway_semantic_lookups_total"),
  similarity: new HistogramFamily(registry, "ai_gateway_semantic_similarity", similarityBuckets),
  saved: new CounterFamily(registry, "ai_gateway_cache_saved_cost_total"),
  moves: new CounterFamily(registry, "ai_gateway_session_moves_total"),
  moveCost: new CounterFamily(registry, "ai_gateway_session_move_cost_total"),
  overflow: new CounterFamily(registry, "ai_gateway_metric_overflow_total"),
});

export type CallFamilies = ReturnType<typeof callFamilies>;
