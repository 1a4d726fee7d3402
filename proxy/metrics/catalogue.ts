/**
 * Every metric of a proxy. Nothing else can be registered, and the documentation is generated from this list.
 *
 * `ai_…` is about calls and what serves them: providers, models, policies, keys, the cache. `sluice_…` is about the
 * installation's own parts: budgets, the shared store, the ledger, the audit log, certificates.
 */
export interface MetricSpec {
  /** untyped: a counter whose name is fixed, and lacks the suffix that counters have. */
  type: "counter" | "gauge" | "histogram" | "untyped";
  help: string;
  labels: readonly string[];
  /** Whether the labels of `metrics.labels` are added. */
  ofCaller?: true;
}

const target = ["provider", "model"] as const;
const call = ["route", "provider", "model"] as const;

/** Of calls, counted when a call is over. */
const calls = {
  ai_gateway_requests_total: {
    type: "counter",
    help: "Calls by outcome.",
    labels: [...call, "operation", "status"],
    ofCaller: true,
  },
  ai_gateway_errors_total: {
    type: "counter",
    help: "Failed calls by code, and by who can mend them: caller, policy, provider or gateway.",
    labels: [...call, "code", "blame"],
    ofCaller: true,
  },
  ai_gateway_unauthorized_attempts_total: {
    type: "counter",
    help: "Calls refused for want of a usable key or of permission.",
    labels: ["reason"],
    ofCaller: true,
  },
  ai_gateway_unauthorized_attempts: {
    type: "untyped",
    help: "The same as ai_gateway_unauthorized_attempts_total.",
    labels: ["reason"],
    ofCaller: true,
  },
  ai_gateway_tokens_total: {
    type: "counter",
    help: "Tokens by type: input, cached_input, output, reasoning.",
    labels: [...target, "type"],
    ofCaller: true,
  },
  ai_gateway_cost_total: {
    type: "counter",
    help: "USD, from the models' prices.",
    labels: target,
    ofCaller: true,
  },
  ai_gateway_cache_saved_cost_total: {
    type: "counter",
    help: "USD that answers from the cache would have cost.",
    labels: target,
    ofCaller: true,
  },
  ai_request_duration: {
    type: "histogram",
    help: "Seconds from the request to the last byte of its answer.",
    labels: [...call, "status"],
  },
  ai_time_to_first_token: {
    type: "histogram",
    help: "Seconds from sending a request upstream to the first byte of the answer.",
    labels: call,
  },
  ai_gateway_time_seconds: {
    type: "histogram",
    help: "Seconds of a call by part: gateway, or provider, which is the time of all attempts.",
    labels: [...target, "part"],
  },
  ai_token_count: {
    type: "histogram",
    help: "Tokens of one call by type: input with what was cached, output with reasoning.",
    labels: [...target, "type"],
  },
  ai_cost_per_request: {
    type: "histogram",
    help: "USD of one call, of all its attempts together.",
    labels: target,
  },
  ai_gateway_upstream_attempts_total: {
    type: "counter",
    help: "Attempts at providers by outcome, and by cause where the connection failed.",
    labels: [...target, "outcome", "cause"],
  },
  ai_gateway_provider_failover_total: {
    type: "counter",
    help: "Calls that went on from one provider to another.",
    labels: ["from", "to"],
  },
  ai_gateway_units_total: {
    type: "counter",
    help: "Images made, characters read aloud, seconds of audio transcribed, and units of reranking.",
    labels: [...target, "unit"],
  },
  ai_gateway_unpriced_requests_total: {
    type: "counter",
    help: "Answered calls whose model has no price, or whose price lacks something that was used.",
    labels: target,
  },
  ai_gateway_implausible_usage_total: {
    type: "counter",
    help: "Answers whose reported usage no such call can have; they are charged by an estimate.",
    labels: target,
  },
  ai_gateway_pii_detected_total: {
    type: "counter",
    help: "Personal data that was found, by policy and type.",
    labels: ["route", "type"],
  },
  ai_gateway_data_masked_total: {
    type: "counter",
    help: "Personal data that was masked, by policy and type.",
    labels: ["route", "type"],
  },
  ai_gateway_masked_total: {
    type: "counter",
    help: "The same as ai_gateway_data_masked_total.",
    labels: ["route", "type"],
  },
  ai_gateway_cache_requests_total: {
    type: "counter",
    help: "Calls of policies with a cache, by result: hit, semantic, miss, bypass.",
    labels: ["route", "result"],
  },
  ai_gateway_semantic_lookups_total: {
    type: "counter",
    help: "Look-ups by meaning, by result: hit, miss, would_hit, slow, failed, refused, paused.",
    labels: ["route", "result"],
  },
  ai_gateway_semantic_similarity: {
    type: "histogram",
    help: "Similarity of a question to the nearest that was kept.",
    labels: ["route"],
  },
  ai_gateway_session_moves_total: {
    type: "counter",
    help: "Sessions of policies with affinity by Session that went on from one target to another.",
    labels: ["route", "from", "to"],
  },
  ai_gateway_session_move_cost_total: {
    type: "counter",
    help: "USD that prompts cost more after such moves, because the new target's cache lacked them.",
    labels: ["route", "from", "to"],
  },
  ai_gateway_shadow_copies_total: {
    type: "counter",
    help: "Copies of calls to policies' shadows, by status. Other metrics of calls don't count them.",
    labels: [...call, "status"],
  },
  ai_gateway_shadow_dropped_total: {
    type: "counter",
    help: "Answered calls that were not copied, by reason: full, memory, budget, unavailable, no_model, kept_state, stopping.",
    labels: ["route", "reason"],
  },
  ai_gateway_shadow_tokens_total: {
    type: "counter",
    help: "Tokens of copies by type: input, output.",
    labels: [...call, "type"],
  },
  ai_gateway_shadow_cost_total: { type: "counter", help: "USD of copies, from the models' prices.", labels: call },
  ai_gateway_shadow_duration_seconds: {
    type: "histogram",
    help: "Seconds from sending a copy to the last byte of its answer.",
    labels: call,
  },
  ai_gateway_shadow_similarity: {
    type: "histogram",
    help: "Share of their words and pairs of words that the answers to a call and to its copy have in common.",
    labels: call,
  },
  ai_gateway_metric_overflow_total: {
    type: "counter",
    help: "Calls counted under the caller label `other`, because metrics.maxCallers callers are shown already.",
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>;

/** Of what a proxy serves and has at hand. */
const states = {
  ai_gateway_requests_in_flight: { type: "gauge", help: "Calls being served now.", labels: [] },
  ai_gateway_shadow_copies_in_flight: { type: "gauge", help: "Copies under way now.", labels: [] },
  ai_gateway_shadow_held_bytes: {
    type: "gauge",
    help: "Memory that requests and answers of copies take.",
    labels: [],
  },
  ai_gateway_circuit_breaker_state: { type: "gauge", help: "0 closed, 1 half-open, 2 open.", labels: target },
  ai_gateway_provider_healthy: {
    type: "gauge",
    help: "1 where the health check, or without one the breakers, find a provider healthy; 0 where not; absent where nothing is known.",
    labels: ["provider"],
  },
  ai_gateway_provider_quota_remaining_ratio: {
    type: "gauge",
    help: "Share of a quota of spec.quota, or with a model of spec.models[].quota, that is left in the current minute. of: requests, tokens.",
    labels: [...target, "of"],
  },
  ai_gateway_limit_remaining_ratio: {
    type: "gauge",
    help: "Share of a policy's limit that is left, where all its callers share it (per: Route). of: requests, tokens. window: in seconds.",
    labels: ["route", "of", "window"],
  },
  ai_gateway_model_sunset_timestamp_seconds: {
    type: "gauge",
    help: "When a provider withdraws a model, in seconds since 1970.",
    labels: target,
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

const budget = ["namespace", "budget"] as const;

/** Of the installation's own parts. */
const parts = {
  sluice_budget_spent: {
    type: "gauge",
    help: "USD spent in the budget's current period, by all its subjects together.",
    labels: budget,
  },
  sluice_budget_limit: { type: "gauge", help: "USD that each subject of the budget may spend.", labels: budget },
  sluice_budget_remaining_ratio: {
    type: "gauge",
    help: "Share that is left to the subject who spent most: 1 is all of it, 0 or less is none.",
    labels: budget,
  },
  sluice_budget_period_start_timestamp_seconds: {
    type: "gauge",
    help: "When the budget's current period began, in seconds since 1970.",
    labels: budget,
  },
  sluice_budget_reset_timestamp_seconds: {
    type: "gauge",
    help: "When the budget's current period ends, in seconds since 1970; absent where it never ends.",
    labels: budget,
  },
  sluice_state_round_trips_total: {
    type: "counter",
    help: "Calls to the store of limits and budgets.",
    labels: [],
  },
  sluice_pool_picks_total: {
    type: "counter",
    help: "Questions to endpoint pickers of InferencePools: picked, refused, failed, or open where it failed and the proxy chose.",
    labels: ["provider", "outcome"],
  },
  sluice_state_waits_total: { type: "counter", help: "Calls that had to wait for that store.", labels: [] },
  sluice_state_failures_total: {
    type: "counter",
    help: "Calls to that store that failed or were late.",
    labels: [],
  },
  sluice_state_overruns_total: {
    type: "counter",
    help: "Amounts settled beyond what was reserved.",
    labels: [],
  },
  sluice_state_reachable: { type: "gauge", help: "1 while that store answers.", labels: [] },
  sluice_state_damaged: {
    type: "gauge",
    help: "1 while parts of the state file that can't be read are put aside, and hard budgets are closed for that.",
    labels: [],
  },
  sluice_state_evicting: {
    type: "gauge",
    help: "1 if that store may drop counters when its memory is full: its maxmemory-policy is not noeviction.",
    labels: [],
  },
  sluice_ledger_waiting_rows: {
    type: "gauge",
    help: "Rows of the usage ledger that the store does not have yet.",
    labels: [],
  },
  sluice_cache_store_failures_total: {
    type: "counter",
    help: "Look-ups and writes that the shared store of cached answers failed, by reason: slow, failed, unreadable.",
    labels: ["reason"],
  },
  sluice_audit_records_total: { type: "counter", help: "Audit records made.", labels: [] },
  sluice_audit_dropped_total: {
    type: "counter",
    help: "Audit records that a sink refused or did not take in time, and that are lost to it.",
    labels: ["sink"],
  },
  sluice_audit_failures_total: {
    type: "counter",
    help: "Writes to a sink that failed and were done again.",
    labels: ["sink"],
  },
  sluice_audit_waiting_records: {
    type: "gauge",
    help: "Audit records that a sink has not taken yet.",
    labels: ["sink"],
  },
  sluice_audit_lag_seconds: {
    type: "gauge",
    help: "Age of the oldest audit record that a sink has not taken yet; 0 if there is none.",
    labels: ["sink"],
  },
  sluice_trace_spans_total: { type: "counter", help: "Spans that the collector took.", labels: [] },
  sluice_trace_spans_dropped_total: {
    type: "counter",
    help: "Spans that are lost, by reason: queue_full, not_sent, rejected.",
    labels: ["reason"],
  },
  sluice_tls_certificate_not_after_seconds: {
    type: "gauge",
    help: "When the listener's certificate expires, in seconds since 1970.",
    labels: [],
  },
  sluice_tls_reload_failures_total: {
    type: "counter",
    help: "New certificates that could not be loaded; the old one stays in use.",
    labels: [],
  },
  sluice_tls_client_refused_total: {
    type: "counter",
    help: "Connections refused because of the client's certificate, by reason.",
    labels: ["reason"],
  },
  sluice_client_certificate_not_after_seconds: {
    type: "gauge",
    help: "When the certificate ends that is shown to a provider, in seconds since 1970.",
    labels: ["provider"],
  },
} as const satisfies Record<string, MetricSpec>;

export const metricGroups = { calls, states, parts };
export const metricCatalogue = { ...calls, ...states, ...parts };

type Catalogue = typeof metricCatalogue;
export type MetricName = keyof Catalogue;
export type MetricNameOf<T extends MetricSpec["type"]> = {
  [Name in MetricName]: Catalogue[Name]["type"] extends T ? Name : never;
}[MetricName];
