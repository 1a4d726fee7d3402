import type { Dashboard } from "./dashboard.ts";

const rate = "$__rate_interval";
const spent = "max by (namespace, budget) (sluice_budget_spent)";
const left = "min by (namespace, budget) (sluice_budget_remaining_ratio)";
const reset = "max by (namespace, budget) (sluice_budget_reset_timestamp_seconds)";

export const cost: Dashboard = {
  uid: "sluice-cost",
  title: "Sluice / Cost and budgets",
  about: "Who spends what, how far budgets reach, and what the cache saves. Users and teams need metrics.labels.",
  rows: [
    {
      title: "Budgets",
      panels: [
        {
          title: "Left of each budget",
          about: "Of the subject who spent most, where the budget is for each user, team or key.",
          kind: "bargauge",
          unit: "percentunit",
          thresholds: [
            { value: 0, color: "red" },
            { value: 0.1, color: "orange" },
            { value: 0.25, color: "green" },
          ],
          queries: [{ expr: left, legend: "{{namespace}}/{{budget}}" }],
        },
        {
          title: "Spent of each budget",
          kind: "timeseries",
          unit: "currencyUSD",
          queries: [{ expr: spent, legend: "{{namespace}}/{{budget}}" }],
        },
        {
          title: "Forecast of what is left when the period ends",
          about: "At the pace of the last hour. Below 0: the budget will be used up before.",
          kind: "timeseries",
          unit: "percentunit",
          thresholds: [{ value: 0, color: "red" }],
          queries: [
            {
              expr: `${left} + min by (namespace, budget) (deriv(sluice_budget_remaining_ratio[1h])) * (${reset} - time())`,
              legend: "{{namespace}}/{{budget}}",
            },
          ],
        },
        {
          title: "Time until each budget is reset",
          kind: "bargauge",
          unit: "s",
          queries: [{ expr: `${reset} - time()`, legend: "{{namespace}}/{{budget}}" }],
        },
      ],
    },
    {
      title: "Cost",
      panels: [
        {
          title: "Cost per hour by provider",
          kind: "timeseries",
          unit: "currencyUSD",
          queries: [
            { expr: `sum by (provider) (rate(ai_gateway_cost_total[${rate}])) * 3600`, legend: "{{provider}}" },
          ],
        },
        {
          title: "Cost per hour by model",
          kind: "timeseries",
          unit: "currencyUSD",
          queries: [{ expr: `sum by (model) (rate(ai_gateway_cost_total[${rate}])) * 3600`, legend: "{{model}}" }],
        },
        {
          title: "Top users in the last 24 hours",
          kind: "table",
          unit: "currencyUSD",
          queries: [{ expr: "topk(10, sum by (user) (increase(ai_gateway_cost_total[24h])))" }],
        },
        {
          title: "Top teams in the last 24 hours",
          kind: "table",
          unit: "currencyUSD",
          queries: [{ expr: "topk(10, sum by (team) (increase(ai_gateway_cost_total[24h])))" }],
        },
        {
          title: "Cost of one call",
          kind: "timeseries",
          unit: "currencyUSD",
          queries: [
            { expr: `histogram_quantile(0.5, sum by (le) (rate(ai_cost_per_request_bucket[${rate}])))`, legend: "p50" },
            {
              expr: `histogram_quantile(0.95, sum by (le) (rate(ai_cost_per_request_bucket[${rate}])))`,
              legend: "p95",
            },
          ],
        },
        {
          title: "Tokens of one call, p95",
          kind: "timeseries",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le, type) (rate(ai_token_count_bucket[${rate}])))`,
              legend: "{{type}}",
            },
          ],
        },
      ],
    },
    {
      title: "Saved and missed",
      panels: [
        {
          title: "Saved by the cache in the last 24 hours",
          kind: "stat",
          unit: "currencyUSD",
          width: 8,
          queries: [{ expr: "sum(increase(ai_gateway_cache_saved_cost_total[24h]))" }],
        },
        {
          title: "Answered from the cache",
          kind: "stat",
          unit: "percentunit",
          width: 8,
          queries: [
            {
              expr: 'sum(increase(ai_gateway_cache_requests_total{result=~"hit|semantic"}[24h])) / sum(increase(ai_gateway_cache_requests_total{result!="bypass"}[24h]))',
            },
          ],
        },
        {
          title: "Calls without a price in the last 24 hours",
          kind: "stat",
          width: 8,
          thresholds: [{ value: 1, color: "orange" }],
          queries: [{ expr: "sum(increase(ai_gateway_unpriced_requests_total[24h]))" }],
        },
      ],
    },
  ],
};
