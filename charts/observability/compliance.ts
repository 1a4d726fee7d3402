import type { Dashboard } from "./dashboard.ts";

const rate = "$__rate_interval";

export const compliance: Dashboard = {
  uid: "sluice-compliance",
  title: "Sluice / Compliance",
  about: "Personal data, refusals and the audit log.",
  rows: [
    {
      title: "Personal data",
      panels: [
        {
          title: "Found in the last 24 hours",
          kind: "stat",
          width: 6,
          queries: [{ expr: "sum(increase(ai_gateway_pii_detected_total[24h]))" }],
        },
        {
          title: "Masked in the last 24 hours",
          kind: "stat",
          width: 6,
          queries: [{ expr: "sum(increase(ai_gateway_data_masked_total[24h]))" }],
        },
        {
          title: "Found by type",
          kind: "timeseries",
          queries: [
            {
              expr: `sum by (type) (rate(ai_gateway_pii_detected_total[${rate}])) * 60`,
              legend: "{{type}} per minute",
            },
          ],
        },
        {
          title: "Masked by policy",
          kind: "timeseries",
          queries: [
            {
              expr: `sum by (route) (rate(ai_gateway_data_masked_total[${rate}])) * 60`,
              legend: "{{route}} per minute",
            },
          ],
        },
      ],
    },
    {
      title: "Refusals",
      panels: [
        {
          title: "Unauthorized attempts in the last 24 hours",
          kind: "table",
          queries: [{ expr: "topk(20, sum by (reason, user) (increase(ai_gateway_unauthorized_attempts[24h])))" }],
        },
        {
          title: "Unauthorized attempts",
          kind: "timeseries",
          queries: [
            {
              expr: `sum by (reason) (rate(ai_gateway_unauthorized_attempts[${rate}])) * 60`,
              legend: "{{reason}} per minute",
            },
          ],
        },
        {
          title: "Refused by a policy",
          kind: "timeseries",
          queries: [
            {
              expr: `sum by (code) (rate(ai_gateway_errors_total{blame="policy"}[${rate}])) * 60`,
              legend: "{{code}} per minute",
            },
          ],
        },
        {
          title: "Refused by policy and code in the last 24 hours",
          kind: "table",
          queries: [
            { expr: 'topk(20, sum by (route, code) (increase(ai_gateway_errors_total{blame="policy"}[24h])))' },
          ],
        },
      ],
    },
    {
      title: "Audit log",
      panels: [
        {
          title: "Records per minute",
          kind: "timeseries",
          queries: [{ expr: `sum(rate(sluice_audit_records_total[${rate}])) * 60`, legend: "records" }],
        },
        {
          title: "Records lost",
          kind: "stat",
          width: 6,
          thresholds: [{ value: 1, color: "red" }],
          queries: [{ expr: "sum(increase(sluice_audit_dropped_total[24h]))" }],
        },
        {
          title: "Lag of the slowest proxy",
          about: "Age of the oldest record that a place has not taken yet.",
          kind: "timeseries",
          unit: "s",
          queries: [{ expr: "max by (sink) (sluice_audit_lag_seconds)", legend: "{{sink}}" }],
        },
        {
          title: "Failed writes",
          kind: "stat",
          width: 6,
          thresholds: [{ value: 1, color: "orange" }],
          queries: [{ expr: "sum(increase(sluice_audit_failures_total[24h]))" }],
        },
      ],
    },
  ],
};
