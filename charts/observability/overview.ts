import type { Dashboard } from "./dashboard.ts";

const rate = "$__rate_interval";

export const overview: Dashboard = {
  uid: "sluice-overview",
  title: "Sluice / Overview",
  about: "Traffic, errors, latency and spending of the gateway.",
  rows: [
    {
      title: "Now",
      panels: [
        {
          title: "Calls per second",
          kind: "stat",
          unit: "reqps",
          width: 6,
          queries: [{ expr: `sum(rate(ai_gateway_requests_total[${rate}]))` }],
        },
        {
          title: "Failed by provider or gateway",
          about: "Share of calls that neither the caller nor a policy is to blame for.",
          kind: "stat",
          unit: "percentunit",
          width: 6,
          thresholds: [
            { value: 0.01, color: "orange" },
            { value: 0.05, color: "red" },
          ],
          queries: [
            {
              expr: `(sum(rate(ai_gateway_errors_total{blame=~"provider|gateway"}[${rate}])) or vector(0)) / sum(rate(ai_gateway_requests_total[${rate}]))`,
            },
          ],
        },
        {
          title: "Spent in the last hour",
          kind: "stat",
          unit: "currencyUSD",
          width: 6,
          queries: [{ expr: "sum(increase(ai_gateway_cost_total[1h]))" }],
        },
        { title: "Calls under way", kind: "stat", width: 6, queries: [{ expr: "sum(ai_gateway_requests_in_flight)" }] },
      ],
    },
    {
      title: "Traffic",
      panels: [
        {
          title: "Calls by status",
          kind: "timeseries",
          unit: "reqps",
          queries: [{ expr: `sum by (status) (rate(ai_gateway_requests_total[${rate}]))`, legend: "{{status}}" }],
        },
        {
          title: "Errors by code",
          kind: "timeseries",
          unit: "reqps",
          queries: [
            { expr: `sum by (code, blame) (rate(ai_gateway_errors_total[${rate}]))`, legend: "{{code}} ({{blame}})" },
          ],
        },
        {
          title: "Calls by model",
          kind: "timeseries",
          unit: "reqps",
          queries: [{ expr: `sum by (model) (rate(ai_gateway_requests_total[${rate}]))`, legend: "{{model}}" }],
        },
        {
          title: "Tokens per second by type",
          kind: "timeseries",
          queries: [{ expr: `sum by (type) (rate(ai_gateway_tokens_total[${rate}]))`, legend: "{{type}}" }],
        },
      ],
    },
    {
      title: "Latency",
      panels: [
        {
          title: "Duration of calls",
          kind: "timeseries",
          unit: "s",
          queries: [
            { expr: `histogram_quantile(0.5, sum by (le) (rate(ai_request_duration_bucket[${rate}])))`, legend: "p50" },
            {
              expr: `histogram_quantile(0.95, sum by (le) (rate(ai_request_duration_bucket[${rate}])))`,
              legend: "p95",
            },
            {
              expr: `histogram_quantile(0.99, sum by (le) (rate(ai_request_duration_bucket[${rate}])))`,
              legend: "p99",
            },
          ],
        },
        {
          title: "Time in gateway and provider",
          about: "p95. What the gateway adds should stay at milliseconds.",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, part) (rate(ai_gateway_time_seconds_bucket[${rate}])))`,
              legend: "{{part}}",
            },
          ],
        },
        {
          title: "Time to first token, p95",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, provider) (rate(ai_time_to_first_token_bucket[${rate}])))`,
              legend: "{{provider}}",
            },
          ],
        },
        {
          title: "Cache",
          kind: "timeseries",
          unit: "reqps",
          queries: [{ expr: `sum by (result) (rate(ai_gateway_cache_requests_total[${rate}]))`, legend: "{{result}}" }],
        },
      ],
    },
    {
      title: "Proxies",
      panels: [
        {
          title: "Processor time",
          kind: "timeseries",
          unit: "percentunit",
          queries: [
            {
              expr: `rate(process_cpu_seconds_total[${rate}]) and on (instance) ai_gateway_config_info`,
              legend: "{{instance}}",
            },
          ],
        },
        {
          title: "Memory",
          kind: "timeseries",
          unit: "bytes",
          queries: [
            { expr: "process_resident_memory_bytes and on (instance) ai_gateway_config_info", legend: "{{instance}}" },
          ],
        },
        {
          title: "Event loop lag, p99",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: "nodejs_eventloop_lag_p99_seconds and on (instance) ai_gateway_config_info",
              legend: "{{instance}}",
            },
          ],
        },
        {
          title: "Store of limits and budgets",
          kind: "timeseries",
          queries: [
            { expr: `sum(rate(sluice_state_round_trips_total[${rate}]))`, legend: "round trips" },
            { expr: `sum(rate(sluice_state_waits_total[${rate}]))`, legend: "calls that waited" },
            { expr: `sum(rate(sluice_state_failures_total[${rate}]))`, legend: "failures" },
          ],
        },
      ],
    },
  ],
};
