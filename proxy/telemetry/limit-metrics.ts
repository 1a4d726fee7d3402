/** Metrics of what remains of providers' quotas, and of limits that all callers of a policy share. */
import type { Registry } from "prom-client";
import { registerGauge } from "../metrics/register.ts";

type Readings = readonly { labels: Record<string, string>; ratio: number }[];

/** `read` returns null before there is a config. */
export function limitMetrics(registry: Registry, read: () => { providers: Readings; routes: Readings } | null): void {
  registerGauge(registry, "ai_gateway_provider_quota_remaining_ratio", (gauge) => {
    gauge.reset();
    for (const { labels, ratio } of read()?.providers ?? []) gauge.set(labels, ratio);
  });
  registerGauge(registry, "ai_gateway_limit_remaining_ratio", (gauge) => {
    gauge.reset();
    for (const { labels, ratio } of read()?.routes ?? []) gauge.set(labels, ratio);
  });
}
