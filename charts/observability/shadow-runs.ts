/** How copies of calls to policies' shadows compare with the calls. */
import type { Dashboard } from "./dashboard.ts";

const rate = "$__rate_interval";

const p95 = (name: string): string =>
  `histogram_quantile(0.95, sum by (le, route, provider, model) (rate(${name}_bucket[${rate}])))`;

export const shadowRuns: Dashboard["rows"][number] = {
  title: "Shadow runs",
  panels: [
    {
      title: "Copies",
      about: "Copies of answered calls, by policy and by where they went.",
      kind: "timeseries",
      unit: "reqps",
      queries: [
        {
          expr: `sum by (route, provider, model) (rate(ai_gateway_shadow_copies_total[${rate}]))`,
          legend: "{{route}}: {{provider}} {{model}}",
        },
      ],
    },
    {
      title: "Copies that were answered",
      about: "Share of copies with the same outcome as their calls: only calls that were answered are copied.",
      kind: "timeseries",
      unit: "percentunit",
      thresholds: [
        { value: 0, color: "red" },
        { value: 0.95, color: "orange" },
        { value: 0.99, color: "green" },
      ],
      queries: [
        {
          expr: `sum by (route, provider, model) (rate(ai_gateway_shadow_copies_total{status="200"}[${rate}])) / sum by (route, provider, model) (rate(ai_gateway_shadow_copies_total[${rate}]))`,
          legend: "{{route}}: {{provider}} {{model}}",
        },
      ],
    },
    {
      title: "Cost of copies against their calls",
      about: "1 is the same cost. Models without a price cost nothing here.",
      kind: "timeseries",
      unit: "percentunit",
      queries: [
        {
          expr: `sum by (route) (rate(ai_gateway_shadow_cost_total[${rate}])) / sum by (route) (rate(ai_gateway_shadow_call_cost_total[${rate}]))`,
          legend: "{{route}}",
        },
      ],
    },
    {
      title: "Duration of calls and of their copies, p95",
      kind: "timeseries",
      unit: "s",
      queries: [
        { expr: p95("ai_gateway_shadow_call_duration_seconds"), legend: "{{route}}: call to {{provider}} {{model}}" },
        { expr: p95("ai_gateway_shadow_duration_seconds"), legend: "{{route}}: copy to {{provider}} {{model}}" },
      ],
    },
    {
      title: "Similarity of answers",
      about:
        "Share of words and pairs of words that both answers have: the average, and what nine in ten copies reach.",
      kind: "timeseries",
      unit: "percentunit",
      queries: [
        {
          expr: `sum by (route, provider, model) (rate(ai_gateway_shadow_similarity_sum[${rate}])) / sum by (route, provider, model) (rate(ai_gateway_shadow_similarity_count[${rate}]))`,
          legend: "{{route}}: {{provider}} {{model}}, average",
        },
        {
          expr: `histogram_quantile(0.1, sum by (le, route, provider, model) (rate(ai_gateway_shadow_similarity_bucket[${rate}])))`,
          legend: "{{route}}: {{provider}} {{model}}, nine in ten",
        },
      ],
    },
    {
      title: "Calls that were not copied",
      about: "Answered calls of policies with a shadow, by reason.",
      kind: "timeseries",
      unit: "reqps",
      queries: [
        {
          expr: `sum by (route, reason) (rate(ai_gateway_shadow_dropped_total[${rate}]))`,
          legend: "{{route}}: {{reason}}",
        },
      ],
    },
  ],
};
