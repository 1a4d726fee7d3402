/**
 * Alert rules for Prometheus. Each has a runbook of its name in docs/runbooks. Rules about state take the worst proxy,
 * rules about calls the sum over all of them.
 */

export interface AlertRule {
  name: string;
  expr: string;
  /** How long the expression must hold. */
  holds: string;
  severity: "critical" | "warning" | "info";
  /** One line; `{{ $labels.x }}` and `{{ $value }}` are filled in by Prometheus. */
  summary: string;
}

const budgetLeft = "min by (namespace, budget) (sluice_budget_remaining_ratio)";

const calls: readonly AlertRule[] = [
  {
    name: "SluiceErrorRateHigh",
    expr: `sum by (route) (rate(ai_gateway_errors_total{blame=~"provider|gateway"}[5m])) / sum by (route) (rate(ai_gateway_requests_total[5m])) > 0.05`,
    holds: "10m",
    severity: "critical",
    summary:
      "{{ $value | humanizePercentage }} of the calls of {{ $labels.route }} fail at providers or in the gateway.",
  },
  {
    name: "SluiceLatencyHigh",
    expr: `histogram_quantile(0.95, sum by (le, route) (rate(ai_request_duration_bucket[10m]))) > 60`,
    holds: "15m",
    severity: "warning",
    summary: "5 % of the calls of {{ $labels.route }} take more than {{ $value | humanizeDuration }}.",
  },
  {
    name: "SluiceFirstTokenSlow",
    expr: `histogram_quantile(0.95, sum by (le, provider, model) (rate(ai_time_to_first_token_bucket[10m]))) > 10`,
    holds: "15m",
    severity: "warning",
    summary:
      "{{ $labels.provider }} takes more than {{ $value | humanizeDuration }} to begin 5 % of its answers with {{ $labels.model }}.",
  },
  {
    name: "SluiceGatewaySlow",
    expr: `histogram_quantile(0.95, sum by (le) (rate(ai_gateway_time_seconds_bucket{part="gateway"}[10m]))) > 0.25`,
    holds: "10m",
    severity: "warning",
    summary: "The gateway adds more than {{ $value | humanizeDuration }} to 5 % of the calls.",
  },
  {
    name: "SluiceRateLimitedShareHigh",
    expr: `sum by (route) (rate(ai_gateway_requests_total{status="429"}[15m])) / sum by (route) (rate(ai_gateway_requests_total[15m])) > 0.2`,
    holds: "15m",
    severity: "warning",
    summary: "{{ $value | humanizePercentage }} of the calls of {{ $labels.route }} are answered with 429.",
  },
  {
    name: "SluiceUnauthorizedAttemptsHigh",
    expr: `sum by (reason) (increase(ai_gateway_unauthorized_attempts_total[15m])) > 100`,
    holds: "0m",
    severity: "warning",
    summary: "{{ $value | humanize }} calls were refused in 15 minutes with {{ $labels.reason }}.",
  },
];

const providers: readonly AlertRule[] = [
  {
    name: "SluiceBreakerOpen",
    expr: "max by (provider, model) (ai_gateway_circuit_breaker_state) == 2",
    holds: "5m",
    severity: "warning",
    summary: "The circuit breaker of {{ $labels.model }} at {{ $labels.provider }} has been open for 5 minutes.",
  },
  {
    name: "SluiceFailover",
    expr: "sum by (from, to) (increase(ai_gateway_provider_failover_total[10m])) > 20",
    holds: "5m",
    severity: "warning",
    summary: "{{ $value | humanize }} calls went on from {{ $labels.from }} to {{ $labels.to }} in 10 minutes.",
  },
  {
    name: "SluiceModelSunset",
    expr: "min by (provider, model) (ai_gateway_model_sunset_timestamp_seconds) - time() < 30 * 86400",
    holds: "1h",
    severity: "info",
    summary: "{{ $labels.provider }} withdraws {{ $labels.model }} in {{ $value | humanizeDuration }}.",
  },
];

const money: readonly AlertRule[] = [
  {
    name: "SluiceBudgetBurnRateHigh",
    expr: `${budgetLeft} + min by (namespace, budget) (deriv(sluice_budget_remaining_ratio[1h])) * (max by (namespace, budget) (sluice_budget_reset_timestamp_seconds) - time()) < 0 and ${budgetLeft} > 0`,
    holds: "15m",
    severity: "warning",
    summary:
      "At the pace of the last hour, Budget {{ $labels.namespace }}/{{ $labels.budget }} will be empty before its period ends.",
  },
  {
    name: "SluiceBudgetUsedUp",
    expr: `${budgetLeft} <= 0.001`,
    holds: "0m",
    severity: "warning",
    summary: "Budget {{ $labels.namespace }}/{{ $labels.budget }} is used up.",
  },
  {
    name: "SluiceUnpricedCalls",
    expr: "sum by (provider, model) (increase(ai_gateway_unpriced_requests_total[15m])) > 0",
    holds: "0m",
    severity: "warning",
    summary: "Calls of {{ $labels.model }} at {{ $labels.provider }} have no price, so no budget counts them.",
  },
];

const installation: readonly AlertRule[] = [
  {
    name: "SluiceNoProxy",
    expr: "absent(ai_gateway_config_info)",
    holds: "5m",
    severity: "critical",
    summary: "No proxy with a config is being scraped.",
  },
  {
    name: "SluiceConfigNotArriving",
    expr: `max(sluice_operator_proxies{state="ready"}) - max(sluice_operator_proxies{state="current"}) > 0`,
    holds: "10m",
    severity: "warning",
    summary: "{{ $value }} proxies have not had the newest config for 10 minutes.",
  },
  {
    name: "SluiceConfigRejected",
    expr: "sum by (instance) (increase(ai_gateway_config_rejected_total[15m])) > 3",
    holds: "0m",
    severity: "warning",
    summary: "The proxy {{ $labels.instance }} rejects a config and continues with an older one.",
  },
  {
    name: "SluiceStateStoreLost",
    expr: "min(sluice_state_reachable) == 0",
    holds: "2m",
    severity: "critical",
    summary: "A proxy can't reach the store of limits and budgets.",
  },
  {
    name: "SluiceStateEvicting",
    expr: "max(sluice_state_evicting) == 1",
    holds: "5m",
    severity: "warning",
    summary: "The store of limits and budgets drops counters when its memory is full.",
  },
  {
    name: "SluiceCertificateExpiring",
    expr: "min by (provider) (sluice_client_certificate_not_after_seconds or sluice_tls_certificate_not_after_seconds) - time() < 14 * 86400",
    holds: "1h",
    severity: "warning",
    summary:
      "The certificate {{ with $labels.provider }}that is presented to {{ . }}{{ else }}of the traffic port{{ end }} expires in {{ $value | humanizeDuration }}.",
  },
  {
    name: "SluiceAuditRecordsLost",
    expr: "sum by (sink) (increase(sluice_audit_dropped_total[15m])) > 0",
    holds: "0m",
    severity: "critical",
    summary: "{{ $value | humanize }} audit records are lost to {{ $labels.sink }}.",
  },
  {
    name: "SluiceOperatorWithoutLeader",
    expr: "(sum(sluice_operator_leader) or vector(0)) != 1",
    holds: "5m",
    severity: "critical",
    summary: "{{ $value }} operators lead; changes to objects are not published.",
  },
  {
    name: "SluiceOperatorPassesFail",
    expr: `sum(increase(sluice_operator_reconciles_total{result="error"}[10m])) > 5`,
    holds: "10m",
    severity: "warning",
    summary: "{{ $value | humanize }} passes of the operator failed in 10 minutes.",
  },
  {
    name: "SluiceOperatorForbidden",
    expr: "count(max by (verb, resource, namespace) (sluice_operator_missing_rights)) > 0",
    holds: "2m",
    severity: "critical",
    summary: "The operator lacks {{ $value }} rights that it needs.",
  },
  {
    name: "SluiceObjectNotLive",
    expr: `max by (kind, namespace, name) (sluice_object_condition{type="Programmed", status="False"}) == 1`,
    holds: "15m",
    severity: "warning",
    summary: "{{ $labels.kind }} {{ $labels.namespace }}/{{ $labels.name }} has not been live for 15 minutes.",
  },
  {
    name: "SluiceEventLoopBlocked",
    expr: "(nodejs_eventloop_lag_p99_seconds and on (instance) ai_gateway_config_info) > 0.5",
    holds: "10m",
    severity: "warning",
    summary: "The event loop of {{ $labels.instance }} is blocked for {{ $value | humanizeDuration }}.",
  },
];

export const alertGroups: Readonly<Record<string, readonly AlertRule[]>> = {
  "sluice.calls": calls,
  "sluice.providers": providers,
  "sluice.money": money,
  "sluice.installation": installation,
};

/** The groups as a rule file of Prometheus has them. */
export const ruleFile = (): object => ({
  groups: Object.entries(alertGroups).map(([name, rules]) => ({
    name,
    rules: rules.map(({ name: alert, expr, holds, severity, summary }) => ({
      alert,
      expr,
      for: holds,
      labels: { severity },
      annotations: { summary, runbook: `docs/runbooks/${alert}.md` },
    })),
  })),
});
