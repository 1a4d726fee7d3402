/** Metrics of the installation's own parts. */
import type { MetricSpec } from "./metric-spec.ts";

const budget = ["namespace", "budget"] as const;

export const installationCatalogue = {
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
