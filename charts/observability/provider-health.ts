import type { Dashboard } from "./dashboard.ts";
import { shadowRuns } from "./shadow-runs.ts";

const rate = "$__rate_interval";

export const providerHealth: Dashboard = {
  uid: "sluice-providers",
  title: "Sluice / Providers",
  about: "How each provider does: latency, errors, breakers, failover, and how shadows compare.",
  rows: [
    {
      title: "Health",
      panels: [
        {
          title: "Healthy",
          kind: "bargauge",
          thresholds: [
            { value: 0, color: "red" },
            { value: 1, color: "green" },
          ],
          words: { "0": "unhealthy", "1": "healthy" },
          queries: [{ expr: "min by (provider) (ai_gateway_provider_healthy)", legend: "{{provider}}" }],
        },
        {
          title: "Circuit breakers",
          kind: "timeseries",
          thresholds: [
            { value: 1, color: "orange" },
            { value: 2, color: "red" },
          ],
          words: { "0": "closed", "1": "half-open", "2": "open" },
          queries: [
            { expr: "max by (provider, model) (ai_gateway_circuit_breaker_state)", legend: "{{provider}} {{model}}" },
          ],
        },
        {
          title: "Attempts by outcome",
          kind: "timeseries",
          unit: "reqps",
          queries: [
            {
              expr: `sum by (provider, outcome) (rate(ai_gateway_upstream_attempts_total[${rate}]))`,
              legend: "{{provider}} {{outcome}}",
            },
          ],
        },
        {
          title: "Quota headroom",
          about: "Share of the quotas in spec.quota that is left in the current minute.",
          kind: "timeseries",
          unit: "percentunit",
          queries: [
            {
              expr: "min by (provider, model, of) (ai_gateway_provider_quota_remaining_ratio)",
              legend: "{{provider}} {{model}} {{of}}",
            },
          ],
        },
        {
          title: "Failover",
          about: "Calls that went on from one provider to another.",
          kind: "timeseries",
          unit: "reqps",
          queries: [
            {
              expr: `sum by (from, to) (rate(ai_gateway_provider_failover_total[${rate}]))`,
              legend: "{{from}} → {{to}}",
            },
          ],
        },
      ],
    },
    {
      title: "Speed",
      panels: [
        {
          title: "Duration, p95",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, provider, model) (rate(ai_request_duration_bucket{provider!=""}[${rate}])))`,
              legend: "{{provider}} {{model}}",
            },
          ],
        },
        {
          title: "Time to first token, p95",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, provider, model) (rate(ai_time_to_first_token_bucket[${rate}])))`,
              legend: "{{provider}} {{model}}",
            },
          ],
        },
        {
          title: "Output tokens per second of answer",
          kind: "timeseries",
          queries: [
            {
              expr: `sum by (provider) (rate(ai_token_count_sum{type="output"}[${rate}])) / sum by (provider) (rate(ai_gateway_time_seconds_sum{part="provider"}[${rate}]))`,
              legend: "{{provider}}",
            },
          ],
        },
        {
          title: "Failed attempts",
          about: "Share of attempts, by provider.",
          kind: "timeseries",
          unit: "percentunit",
          queries: [
            {
              expr: `sum by (provider) (rate(ai_gateway_upstream_attempts_total{outcome!="ok"}[${rate}])) / sum by (provider) (rate(ai_gateway_upstream_attempts_total[${rate}]))`,
              legend: "{{provider}}",
            },
          ],
        },
      ],
    },
    {
      title: "Ahead",
      panels: [
        {
          title: "Refused for a rate limit",
          about: "Calls answered with 429, by code.",
          kind: "timeseries",
          unit: "reqps",
          queries: [
            {
              expr: `sum by (code) (rate(ai_gateway_errors_total{code=~".*rate_limit.*|budget_exceeded"}[${rate}]))`,
              legend: "{{code}}",
            },
          ],
        },
        {
          title: "Models that will be withdrawn",
          kind: "table",
          unit: "s",
          queries: [{ expr: "min by (provider, model) (ai_gateway_model_sunset_timestamp_seconds) - time()" }],
        },
      ],
    },
    shadowRuns,
  ],
};
