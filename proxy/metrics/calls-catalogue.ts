/** Metrics of calls, counted when a call is over. */
import { callLabels, type MetricSpec, modelLabels } from "./metric-spec.ts";

export const callCatalogue = {
  ai_gateway_requests_total: {
    type: "counter",
    help: "Calls by outcome.",
    labels: [...callLabels, "operation", "status"],
    ofCaller: true,
  },
  ai_gateway_errors_total: {
    type: "counter",
    help: "Failed calls by code, and by who can mend them: caller, policy, provider or gateway.",
    labels: [...callLabels, "code", "blame"],
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
    labels: [...modelLabels, "type"],
    ofCaller: true,
  },
  ai_gateway_cost_total: {
    type: "counter",
    help: "USD, from the models' prices.",
    labels: modelLabels,
    ofCaller: true,
  },
  ai_gateway_cache_saved_cost_total: {
    type: "counter",
    help: "USD that answers from the cache would have cost.",
    labels: modelLabels,
    ofCaller: true,
  },
  ai_request_duration: {
    type: "histogram",
    help: "Seconds from the request to the last byte of its answer.",
    labels: [...callLabels, "status"],
  },
  ai_time_to_first_token: {
    type: "histogram",
    help: "Seconds from sending a request upstream to the first byte of the answer.",
    labels: callLabels,
  },
  ai_gateway_time_seconds: {
    type: "histogram",
    help: "Seconds of a call by part: gateway, or provider, which is the time of all attempts.",
    labels: [...modelLabels, "part"],
  },
  ai_token_count: {
    type: "histogram",
    help: "Tokens of one call by type: input with what was cached, output with reasoning.",
    labels: [...modelLabels, "type"],
  },
  ai_cost_per_request: {
    type: "histogram",
    help: "USD of one call, of all its attempts together.",
    labels: modelLabels,
  },
  ai_gateway_upstream_attempts_total: {
    type: "counter",
    help: "Attempts at providers by outcome, and by cause where the connection failed.",
    labels: [...modelLabels, "outcome", "cause"],
  },
  ai_gateway_provider_failover_total: {
    type: "counter",
    help: "Calls that went on from one provider to another.",
    labels: ["from", "to"],
  },
  ai_gateway_units_total: {
    type: "counter",
    help: "Images made, characters read aloud, seconds of audio transcribed, and units of reranking.",
    labels: [...modelLabels, "unit"],
  },
  ai_gateway_unpriced_requests_total: {
    type: "counter",
    help: "Answered calls whose model has no price, or whose price lacks something that was used.",
    labels: modelLabels,
  },
  ai_gateway_implausible_usage_total: {
    type: "counter",
    help: "Answers whose reported usage no such call can have; they are charged by an estimate.",
    labels: modelLabels,
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
    labels: [...callLabels, "status"],
  },
  ai_gateway_shadow_dropped_total: {
    type: "counter",
    help: "Answered calls that were not copied, by reason: full, memory, budget, unavailable, no_model, kept_state, stopping.",
    labels: ["route", "reason"],
  },
  ai_gateway_shadow_tokens_total: {
    type: "counter",
    help: "Tokens of copies by type: input, output.",
    labels: [...callLabels, "type"],
  },
  ai_gateway_shadow_cost_total: {
    type: "counter",
    help: "USD of copies, from the models' prices.",
    labels: callLabels,
  },
  ai_gateway_shadow_duration_seconds: {
    type: "histogram",
    help: "Seconds from sending a copy to the last byte of its answer.",
    labels: callLabels,
  },
  ai_gateway_shadow_call_cost_total: {
    type: "counter",
    help: "USD of the calls that were copied, to compare with ai_gateway_shadow_cost_total.",
    labels: callLabels,
  },
  ai_gateway_shadow_call_duration_seconds: {
    type: "histogram",
    help: "Seconds of the calls that were copied, to compare with ai_gateway_shadow_duration_seconds.",
    labels: callLabels,
  },
  ai_gateway_shadow_similarity: {
    type: "histogram",
    help: "Share of their words and pairs of words that the answers to a call and to its copy have in common.",
    labels: callLabels,
  },
  ai_gateway_metric_overflow_total: {
    type: "counter",
    help: "Calls counted under the caller label `other`, because metrics.maxCallers callers are shown already.",
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>;
