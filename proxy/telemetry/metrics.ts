/** Prometheus metrics. Labels come from the config and closed lists only, so their number is bounded by what is applied. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { CacheStore } from "../cache/store.ts";
import type { VectorIndex } from "../cache/vectors.ts";
import { certificateEndMs } from "../config/certificates.ts";
import { failures } from "../failure.ts";
import type { BreakerReading, OwnedRouting } from "../routing/create.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { UpstreamAddress } from "../wire/upstream.ts";
import { type CallRecord, semanticResults } from "./record.ts";

const durationBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const similarityBuckets = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999];
const tokenBuckets = [10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 100_000, 500_000];

export interface Metrics {
  registry: Registry;
  record(call: CallRecord): void;
  swapped(snapshot: Snapshot, routes: number): void;
  rejected(): void;
}

const breakerValues: Readonly<Record<BreakerReading["state"], number>> = { closed: 0, "half-open": 1, open: 2 };

/** What of the cache the metrics show. */
export interface CacheSizes {
  store: Pick<CacheStore, "size">;
  vectors: Pick<VectorIndex, "size">;
}

export function createMetrics(routing: Pick<OwnedRouting, "breakers" | "health">, cache: CacheSizes, inFlight: () => number): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const labelNames = ["route", "provider", "model"] as const;
  const requests = new Counter({ name: "ai_gateway_requests_total", help: "Calls by outcome.", labelNames: [...labelNames, "operation", "status"], registers });
  const errors = new Counter({
    name: "ai_gateway_errors_total",
    help: "Failed calls by code, and by who can mend them.",
    labelNames: [...labelNames, "code", "blame"],
    registers,
  });
  const unauthorized = new Counter({
    name: "ai_gateway_unauthorized_attempts",
    help: "Calls refused for want of a usable key or of permission.",
    labelNames: ["reason"],
    registers,
  });
  const tokens = new Counter({
    name: "ai_gateway_tokens_total",
    help: "Tokens by type: input, cached_input, output, reasoning.",
    labelNames: ["provider", "model", "type"],
    registers,
  });
  const duration = new Histogram({
    name: "ai_request_duration",
    help: "Seconds from the request to the last byte of its answer.",
    labelNames: [...labelNames],
    buckets: durationBuckets,
    registers,
  });
  const firstToken = new Histogram({
    name: "ai_time_to_first_token",
    help: "Seconds from sending a request upstream to the first byte of the answer.",
    labelNames: [...labelNames],
    buckets: durationBuckets,
    registers,
  });
  const tokenCount = new Histogram({
    name: "ai_token_count",
    help: "Tokens of one call, input and output together.",
    labelNames: ["provider", "model"],
    buckets: tokenBuckets,
    registers,
  });
  const attempts = new Counter({
    name: "ai_gateway_upstream_attempts_total",
    help: "Attempts at providers by outcome.",
    labelNames: ["provider", "model", "outcome"],
    registers,
  });
  const failover = new Counter({
    name: "ai_gateway_provider_failover_total",
    help: "Calls that went on from one provider to another.",
    labelNames: ["from", "to"],
    registers,
  });
  new Gauge({
    name: "ai_gateway_requests_in_flight",
    help: "Calls being served now.",
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  const info = new Gauge({ name: "ai_gateway_config_info", help: "1 for the live config revision.", labelNames: ["revision"], registers });
  const rejects = new Counter({
    name: "ai_gateway_config_rejected_total",
    help: "Configs that were not taken because they were incomplete or invalid.",
    registers,
  });
  const keys = new Gauge({ name: "ai_gateway_config_keys", help: "API keys in the live config.", registers });
  const routes = new Gauge({ name: "ai_gateway_config_routes", help: "Routes in the live config.", registers });
  const cost = new Counter({ name: "ai_gateway_cost_total", help: "USD, from the models' prices.", labelNames: ["provider", "model"], registers });
  const unpriced = new Counter({
    name: "ai_gateway_unpriced_requests_total",
    help: "Answered calls whose model has no price.",
    labelNames: ["provider", "model"],
    registers,
  });
  const masked = new Counter({
    name: "ai_gateway_masked_total",
    help: "Personal data that was masked, by policy and type.",
    labelNames: ["route", "type"],
    registers,
  });
  const cached = new Counter({
    name: "ai_gateway_cache_requests_total",
    help: "Calls of policies with a cache, by result: hit, semantic, miss, bypass.",
    labelNames: ["route", "result"],
    registers,
  });
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
  const lookups = new Counter({
    name: "ai_gateway_semantic_lookups_total",
    help: `Look-ups by meaning, by result: ${semanticResults.join(", ")}.`,
    labelNames: ["route", "result"],
    registers,
  });
  const similarity = new Histogram({
    name: "ai_gateway_semantic_similarity",
    help: "Similarity of a question to the nearest that was kept.",
    labelNames: ["route"],
    buckets: similarityBuckets,
    registers,
  });
  const saved = new Counter({
    name: "ai_gateway_cache_saved_cost_total",
    help: "USD that answers from the cache would have cost.",
    labelNames: ["provider", "model"],
    registers,
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

  const countTokens = (call: CallRecord): void => {
    const usage = call.usage;
    if (!usage) return;
    const labels = { provider: call.provider, model: call.model };
    tokens.inc({ ...labels, type: "input" }, usage.prompt - usage.cachedPrompt);
    if (usage.cachedPrompt > 0) tokens.inc({ ...labels, type: "cached_input" }, usage.cachedPrompt);
    tokens.inc({ ...labels, type: "output" }, usage.completion - usage.reasoning);
    if (usage.reasoning > 0) tokens.inc({ ...labels, type: "reasoning" }, usage.reasoning);
    tokenCount.observe(labels, usage.prompt + usage.completion);
    if (call.costNanoUsd === null) unpriced.inc(labels);
    else cost.inc(labels, call.costNanoUsd / 1_000_000_000);
  };

  const countAttempts = (call: CallRecord): void => {
    let previous: string | null = null;
    for (const attempt of call.attempts) {
      attempts.inc({ provider: attempt.provider, model: attempt.model, outcome: attempt.outcome });
      if (previous !== null && previous !== attempt.provider) failover.inc({ from: previous, to: attempt.provider });
      previous = attempt.provider;
    }
  };

  const countLookup = ({ route, semantic }: CallRecord): void => {
    if (semantic === null) return;
    lookups.inc({ route, result: semantic.result });
    if (semantic.similarity !== null) similarity.observe({ route }, semantic.similarity);
  };

  const noteCertificate = (provider: string, { tls }: UpstreamAddress): void => {
    const endMs = tls?.client ? certificateEndMs(tls.client.cert) : null;
    if (endMs !== null) certificates.set({ provider }, endMs / 1000);
  };
  return {
    registry,
    record(call) {
      const labels = { route: call.route, provider: call.provider, model: call.model };
      requests.inc({ ...labels, operation: call.operation, status: String(call.status) });
      duration.observe(labels, call.durationMs / 1000);
      if (call.firstByteMs !== null) firstToken.observe(labels, call.firstByteMs / 1000);
      if (call.code !== null) {
        errors.inc({ ...labels, code: call.code, blame: failures[call.code].blame });
        if (call.status === 401 || call.status === 403) unauthorized.inc({ reason: call.code });
      }
      countTokens(call);
      countAttempts(call);
      for (const type in call.masked) masked.inc({ route: call.route, type }, call.masked[type] ?? 0);
      if (call.cache !== null) cached.inc({ route: call.route, result: call.cache });
      countLookup(call);
      if (call.savedNanoUsd !== null) saved.inc({ provider: call.provider, model: call.model }, call.savedNanoUsd / 1_000_000_000);
    },
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
        noteCertificate(provider, entry.address);
      }
    },
    rejected: () => rejects.inc(),
  };
}
