/** Prometheus metrics. Labels come from the config and from closed lists only, so the number of series is bounded. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { CacheStore } from "../cache/store.ts";
import type { VectorIndex } from "../cache/vectors.ts";
import type { CallRecord } from "../call/record.ts";
import { certificateEndMs } from "../config/certificates.ts";
import type { BreakerReading, OwnedRouting } from "../routing/create.ts";
import type { ProviderEntry, Snapshot } from "../snapshot/snapshot.ts";
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
  routing: Pick<OwnedRouting, "breakers" | "health">,
  cache: CacheSizes,
  inFlight: () => number,
): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const record = callMetrics(registry);
  new Gauge({
    name: "ai_gateway_requests_in_flight",
    help: "Calls being served now.",
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  const info = new Gauge({
    name: "ai_gateway_config_info",
    help: "1 for the live config revision.",
    labelNames: ["revision"],
    registers,
  });
  const rejects = new Counter({
    name: "ai_gateway_config_rejected_total",
    help: "Configs that were not taken because they were incomplete or invalid.",
    registers,
  });
  const keys = new Gauge({ name: "ai_gateway_config_keys", help: "API keys in the live config.", registers });
  const routes = new Gauge({ name: "ai_gateway_config_routes", help: "Routes in the live config.", registers });
  new Gauge({
    name: "ai_gateway_cache_entries",
    help: "Answers in this proxy's memory.",
    registers,
    collect() {
      this.set(cache.store.size().entries);
    },
  });
  new Gauge({
    name: "ai_gateway_cache_bytes",
    help: "Memory that cached answers take.",
    registers,
    collect() {
      this.set(cache.store.size().bytes);
    },
  });
  new Gauge({
    name: "ai_gateway_semantic_vectors",
    help: "Vectors of questions in this proxy's memory.",
    registers,
    collect() {
      this.set(cache.vectors.size().entries);
    },
  });
  new Gauge({
    name: "ai_gateway_semantic_vector_bytes",
    help: "Memory that vectors of questions take.",
    registers,
    collect() {
      this.set(cache.vectors.size().bytes);
    },
  });
  const sunset = new Gauge({
    name: "ai_gateway_model_sunset_timestamp_seconds",
    help: "When a provider withdraws a model.",
    labelNames: ["provider", "model"],
    registers,
  });
  const certificates = new Gauge({
    name: "sluice_client_certificate_not_after_seconds",
    help: "When the certificate ends that is shown to a provider, in seconds since 1970.",
    labelNames: ["provider"],
    registers,
  });
  new Gauge({
    name: "ai_gateway_circuit_breaker_state",
    help: "0 closed, 1 half-open, 2 open.",
    labelNames: ["provider", "model"],
    registers,
    collect() {
      this.reset();
      for (const { provider, model, state } of routing.breakers()) this.set({ provider, model }, breakerValues[state]);
    },
  });

  let providers: readonly string[] = [];
  new Gauge({
    name: "ai_gateway_provider_healthy",
    help: "1 where the health check, or without one the breakers, find a provider healthy; 0 where not; absent where nothing is known.",
    labelNames: ["provider"],
    registers,
    collect() {
      this.reset();
      for (const provider of providers) {
        const { healthy } = routing.health(provider);
        if (healthy !== null) this.set({ provider }, healthy ? 1 : 0);
      }
    },
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
