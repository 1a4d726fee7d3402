/** Prometheus metrics. Labels come from the config and from closed lists only, so the number of series is bounded. */
import { collectDefaultMetrics, Registry } from "prom-client";
import type { CacheStore } from "../cache/store.ts";
import type { VectorIndex } from "../cache/vectors.ts";
import type { CallRecord } from "../call/record.ts";
import { certificateEndMs } from "../config/certificates.ts";
import { registerCounter, registerGauge } from "../metrics/register.ts";
import type { BreakerReading, TargetRouting } from "../routing/target-routing.ts";
import type { ProviderEntry, Snapshot } from "../snapshot/snapshot.ts";
import type { CallMetricsOptions } from "./call-families.ts";
import { callMetrics } from "./call-metrics.ts";

export interface Metrics {
  registry: Registry;
  record(call: CallRecord): void;
  swapped(snapshot: Snapshot, routes: number): void;
  rejected(): void;
}

const breakerValues: Readonly<Record<BreakerReading["state"], number>> = { closed: 0, "half-open": 1, open: 2 };

/** The part of the cache that metrics show. */
export interface CacheSizes {
  store: Pick<CacheStore, "size">;
  vectors: Pick<VectorIndex, "size">;
}

export function createMetrics(
  routing: Pick<TargetRouting, "breakers" | "health">,
  cache: CacheSizes,
  inFlight: () => number,
  options?: CallMetricsOptions,
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges that are named like counters; the same by type stay.
  for (const what of ["handles", "requests", "resources"]) registry.removeSingleMetric(`nodejs_active_${what}_total`);
  const record = callMetrics(registry, options);
  registerGauge(registry, "ai_gateway_requests_in_flight", (gauge) => gauge.set(inFlight()));
  const info = registerGauge(registry, "ai_gateway_config_info");
  const rejects = registerCounter(registry, "ai_gateway_config_rejected_total");
  const keys = registerGauge(registry, "ai_gateway_config_keys");
  const routes = registerGauge(registry, "ai_gateway_config_routes");
  registerGauge(registry, "ai_gateway_cache_entries", (gauge) => gauge.set(cache.store.size().entries));
  registerGauge(registry, "ai_gateway_cache_bytes", (gauge) => gauge.set(cache.store.size().bytes));
  registerGauge(registry, "ai_gateway_semantic_vectors", (gauge) => gauge.set(cache.vectors.size().entries));
  registerGauge(registry, "ai_gateway_semantic_vector_bytes", (gauge) => gauge.set(cache.vectors.size().bytes));
  const sunset = registerGauge(registry, "ai_gateway_model_sunset_timestamp_seconds");
  const certificates = registerGauge(registry, "sluice_client_certificate_not_after_seconds");
  registerGauge(registry, "ai_gateway_circuit_breaker_state", (gauge) => {
    gauge.reset();
    for (const { provider, model, state } of routing.breakers()) gauge.set({ provider, model }, breakerValues[state]);
  });
  let providers: readonly string[] = [];
  registerGauge(registry, "ai_gateway_provider_healthy", (gauge) => {
    gauge.reset();
    for (const provider of providers) {
      const { healthy } = routing.health(provider);
      if (healthy !== null) gauge.set({ provider }, healthy ? 1 : 0);
    }
  });

  const noteCertificate = (provider: string, { address, account }: ProviderEntry): void => {
    const ends = [address.tls, account.tokenTls].flatMap((tls) =>
      tls?.client ? (certificateEndMs(tls.client.cert) ?? []) : [],
    );
    if (ends.length > 0) certificates.set({ provider }, Math.min(...ends) / 1000);
  };
  return {
    registry,
    record,
    swapped(snapshot, routeCount) {
      providers = [...snapshot.providers.keys()];
      keys.set(snapshot.keyCount);
      routes.set(routeCount);
      info.reset();
      info.set({ revision: snapshot.revision }, 1);
      sunset.reset();
      certificates.reset();
      for (const [provider, entry] of snapshot.providers) {
        for (const [model, { config }] of entry.models)
          if (config.sunset !== null) sunset.set({ provider, model }, Date.parse(`${config.sunset}T00:00:00Z`) / 1000);
        noteCertificate(provider, entry);
      }
    },
    rejected: () => rejects.inc(),
  };
}
