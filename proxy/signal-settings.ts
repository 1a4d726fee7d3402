/** Settings of metrics. */
import { z } from "zod";
import { callerLabelNames } from "./metrics/caller-labels.ts";
import { type CallMetricsOptions, defaultCallMetrics } from "./telemetry/call-families.ts";

const words = (text: string): string[] =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

const labels = z
  .string()
  .default("")
  .transform(words)
  .pipe(z.array(z.enum(callerLabelNames, { error: `must name labels of ${callerLabelNames.join(", ")}` })));

/** The upper bounds of a histogram; none for the default. */
const bounds = z
  .string()
  .default("")
  .transform((text) => words(text).map(Number))
  .refine(
    (list) =>
      list.length <= 50 &&
      list.every((bound, index) => Number.isFinite(bound) && bound > 0 && bound > (list[index - 1] ?? 0)),
    "must be at most 50 ascending positive numbers, such as 0.1,0.5,1",
  );

export const signalSettings = {
  /** Labels that say who called. */
  metricsLabels: labels,
  metricsMaxCallers: z.coerce.number().int().min(1).max(100_000).default(defaultCallMetrics.maxCallers),
  /** Request header with the caller's name for a session; "" for none. */
  sessionHeader: z
    .string()
    .regex(/^[a-z0-9-]*$/, "must be a header's name in lower case, such as x-session-id")
    .default("x-session-id"),
  metricsDurationBuckets: bounds,
  metricsTokenBuckets: bounds,
  metricsCostBuckets: bounds,
};

export const signalFlags = {
  "metrics-labels": "metricsLabels",
  "metrics-max-callers": "metricsMaxCallers",
  "session-header": "sessionHeader",
  "metrics-duration-buckets": "metricsDurationBuckets",
  "metrics-token-buckets": "metricsTokenBuckets",
  "metrics-cost-buckets": "metricsCostBuckets",
} as const;

export const signalUsage = `  --metrics-labels L   labels of calls, tokens and cost that say who called: ${callerLabelNames.join(", ")}
                       (default none; docs/metrics.md)
  --metrics-max-callers N   more combinations of their values are counted as other (default 1000)
  --session-header H   header with the caller's name for a session (default x-session-id)
  --metrics-duration-buckets B, --metrics-token-buckets B, --metrics-cost-buckets B
                       upper bounds of the histograms, ascending, such as 0.1,0.5,1`;

type Given = Record<"metricsDurationBuckets" | "metricsTokenBuckets" | "metricsCostBuckets", readonly number[]> & {
  metricsLabels: CallMetricsOptions["labels"];
  metricsMaxCallers: number;
};

export function callMetricsOptions(settings: Given): CallMetricsOptions {
  const { duration, tokens, cost } = defaultCallMetrics.buckets;
  const or = (given: readonly number[], standard: readonly number[]) => (given.length > 0 ? given : standard);
  return {
    labels: [...new Set(settings.metricsLabels)],
    maxCallers: settings.metricsMaxCallers,
    buckets: {
      duration: or(settings.metricsDurationBuckets, duration),
      tokens: or(settings.metricsTokenBuckets, tokens),
      cost: or(settings.metricsCostBuckets, cost),
    },
  };
}
