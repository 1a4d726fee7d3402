import type { Dashboard } from "./dashboard.ts";

const rate = "$__rate_interval";

export const operator: Dashboard = {
  uid: "sluice-operator",
  title: "Sluice / Operator",
  about: "From kubectl apply to every proxy: passes, objects, rollouts.",
  rows: [
    {
      title: "Rollout",
      panels: [
        {
          title: "Leader",
          kind: "stat",
          width: 6,
          thresholds: [
            { value: 0, color: "red" },
            { value: 1, color: "green" },
            { value: 2, color: "red" },
          ],
          queries: [{ expr: "sum(sluice_operator_leader)" }],
        },
        {
          title: "Proxies that lag behind",
          kind: "stat",
          width: 6,
          thresholds: [{ value: 1, color: "orange" }],
          queries: [
            { expr: 'max(sluice_operator_proxies{state="ready"}) - max(sluice_operator_proxies{state="current"})' },
          ],
        },
        {
          title: "From a change until it is live",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: "histogram_quantile(0.5, sum by (le) (increase(sluice_operator_apply_to_live_seconds_bucket[1h])))",
              legend: "p50",
            },
            {
              expr: "histogram_quantile(0.95, sum by (le) (increase(sluice_operator_apply_to_live_seconds_bucket[1h])))",
              legend: "p95",
            },
          ],
        },
        { title: "Revisions", kind: "table", queries: [{ expr: "count by (revision) (ai_gateway_config_info)" }] },
        {
          title: "Configs that proxies rejected in the last hour",
          kind: "stat",
          thresholds: [{ value: 1, color: "red" }],
          queries: [{ expr: "sum(increase(ai_gateway_config_rejected_total[1h]))" }],
        },
      ],
    },
    {
      title: "Objects",
      panels: [
        {
          title: "Objects by kind",
          kind: "timeseries",
          queries: [{ expr: "sum by (kind) (max by (kind, accepted) (sluice_operator_objects))", legend: "{{kind}}" }],
        },
        {
          title: "Refused by kind and reason",
          kind: "timeseries",
          queries: [{ expr: "max by (kind, reason) (sluice_operator_refusals)", legend: "{{kind}} {{reason}}" }],
        },
        {
          title: "Objects that are not live",
          kind: "table",
          queries: [{ expr: 'sluice_object_condition{type="Programmed", status!="True"}' }],
        },
        {
          title: "Conditions",
          kind: "table",
          queries: [{ expr: "count by (kind, type, status) (sluice_object_condition)" }],
        },
        {
          title: "Keys and routes that proxies have",
          kind: "timeseries",
          queries: [
            { expr: "max(ai_gateway_config_keys)", legend: "keys" },
            { expr: "max(ai_gateway_config_routes)", legend: "routes" },
          ],
        },
      ],
    },
    {
      title: "Passes",
      panels: [
        {
          title: "Passes by result",
          kind: "timeseries",
          unit: "reqps",
          queries: [
            { expr: `sum by (result) (rate(sluice_operator_reconciles_total[${rate}]))`, legend: "{{result}}" },
          ],
        },
        {
          title: "Time to compile, p95",
          kind: "timeseries",
          unit: "s",
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (le) (rate(sluice_operator_compile_seconds_bucket[${rate}])))`,
              legend: "p95",
            },
          ],
        },
        {
          title: "Objects written",
          kind: "timeseries",
          queries: [{ expr: `sum(rate(sluice_operator_objects_published_total[${rate}])) * 60`, legend: "per minute" }],
        },
        {
          title: "Failed lists and watches",
          kind: "stat",
          queries: [{ expr: "sum(increase(sluice_operator_watch_errors_total[1h]))" }],
        },
      ],
    },
  ],
};
