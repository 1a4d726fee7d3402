/** Metrics of what a proxy serves and holds now. */
import { type MetricSpec, modelLabels } from "./metric-spec.ts";

export const stateCatalogue = {
  ai_gateway_requests_in_flight: { type: "gauge", help: "Calls being served now.", labels: [] },
  ai_gateway_shadow_copies_in_flight: { type: "gauge", help: "Copies under way now.", labels: [] },
  ai_gateway_shadow_held_bytes: {
    type: "gauge",
    help: "Memory that requests and answers of copies take.",
    labels: [],
  },
  ai_gateway_circuit_breaker_state: { type: "gauge", help: "0 closed, 1 half-open, 2 open.", labels: modelLabels },
  ai_gateway_provider_healthy: {
    type: "gauge",
    help: "1 where the health check, or without one the breakers, find a provider healthy; 0 where not; absent where nothing is known.",
    labels: ["provider"],
  },
  ai_gateway_provider_quota_remaining_ratio: {
    type: "gauge",
    help: "Share of a quota of spec.quota, or with a model of spec.models[].quota, that is left in the current minute. of: requests, tokens.",
    labels: [...modelLabels, "of"],
  },
  ai_gateway_limit_remaining_ratio: {
    type: "gauge",
    help: "Share of a policy's limit that is left, where all its callers share it (per: Route). of: requests, tokens. window: in seconds.",
    labels: ["route", "of", "window"],
  },
  ai_gateway_model_sunset_timestamp_seconds: {
    type: "gauge",
    help: "When a provider withdraws a model, in seconds since 1970.",
    labels: modelLabels,
  },
  ai_gateway_config_info: { type: "gauge", help: "1 for the live config revision.", labels: ["revision"] },
  ai_gateway_config_keys: { type: "gauge", help: "API keys in the live config.", labels: [] },
  ai_gateway_config_routes: { type: "gauge", help: "Routes in the live config.", labels: [] },
  ai_gateway_config_rejected_total: {
    type: "counter",
    help: "Configs that were not taken because they were incomplete or invalid.",
    labels: [],
  },
  ai_gateway_cache_entries: { type: "gauge", help: "Answers in this proxy's memory.", labels: [] },
  ai_gateway_cache_bytes: { type: "gauge", help: "Memory that cached answers take.", labels: [] },
  ai_gateway_semantic_vectors: { type: "gauge", help: "Vectors of questions in this proxy's memory.", labels: [] },
  ai_gateway_semantic_vector_bytes: { type: "gauge", help: "Memory that vectors of questions take.", labels: [] },
  ai_gateway_status_refused_total: {
    type: "counter",
    help: "Requests to the status port that were refused without a valid token, by reason.",
    labels: ["reason"],
  },
} as const satisfies Record<string, MetricSpec>;
