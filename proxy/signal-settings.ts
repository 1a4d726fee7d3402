/** Settings of metrics and traces. */

import { z } from "zod";
import { usualSessionHeader } from "./call/session.ts";
import { callerLabelNames } from "./metrics/caller-labels.ts";
import { type CallMetricsOptions, defaultCallMetrics } from "./telemetry/call-families.ts";
import { type OtlpProtocol, otlpProtocols } from "./wire/otlp-collector.ts";

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

const tags = z
  .string()
  .default("")
  .transform(words)
  .refine((list) => list.every((tag) => /^[\w.-]{1,128}=/.test(tag)), "must be name=value,name=value")
  .transform((list) =>
    Object.fromEntries(list.map((tag) => [tag.split("=", 1)[0] ?? "", tag.slice(tag.indexOf("=") + 1)])),
  );

export const signalSettings = {
  /** Base URL of an OpenTelemetry collector; "" for none. */
  otlpUrl: z.union([z.literal(""), z.url({ protocol: /^https?$/ })]).default(""),
  otlpProtocol: z.enum(otlpProtocols, { error: `must be ${otlpProtocols.join(", ")}` }).default("http/protobuf"),
  /** File with the CA certificates to trust for TLS to it; "" for the system's. */
  otlpCa: z.string().default(""),
  /** `name=value,name=value`; from the environment only. */
  otlpHeaders: z.string().default(""),
  /** Share of calls that are traced, of those whose caller doesn't decide. */
  traceRatio: z.coerce.number().min(0).max(1).default(0.1),
  traceParent: z.enum(["Respect", "Ignore"]).default("Respect"),
  /** Calls that take longer are always traced, in milliseconds; 0 for none. */
  traceSlowMs: z.coerce.number().int().min(0).max(3_600_000).default(10_000),
  traceBodies: z.stringbool().default(false),
  traceTags: tags,
  otlpMetrics: z.enum(["None", "GenAI", "GenAI-1.41"]).default("None"),
  /** Labels that identify the caller. */
  metricsLabels: labels,
  metricsMaxCallers: z.coerce.number().int().min(1).max(100_000).default(defaultCallMetrics.maxCallers),
  /** Request header with the caller's name for a session; "" for none. */
  sessionHeader: z
    .string()
    .regex(/^[a-z0-9-]*$/, "must be a header's name in lower case, such as x-session-id")
    .default(usualSessionHeader),
  metricsDurationBuckets: bounds,
  metricsTokenBuckets: bounds,
  metricsCostBuckets: bounds,
};

export const signalFlags = {
  "otlp-url": "otlpUrl",
  "otlp-protocol": "otlpProtocol",
  "otlp-ca": "otlpCa",
  "otlp-metrics": "otlpMetrics",
  "trace-ratio": "traceRatio",
  "trace-parent": "traceParent",
  "trace-slow-ms": "traceSlowMs",
  "trace-bodies": "traceBodies",
  "trace-tags": "traceTags",
  "metrics-labels": "metricsLabels",
  "metrics-max-callers": "metricsMaxCallers",
  "session-header": "sessionHeader",
  "metrics-duration-buckets": "metricsDurationBuckets",
  "metrics-token-buckets": "metricsTokenBuckets",
  "metrics-cost-buckets": "metricsCostBuckets",
} as const;

export const signalUsage = `  --metrics-labels L   labels that identify the caller, for calls, tokens and cost: ${callerLabelNames.join(", ")}
                       (default none; docs/metrics.md)
  --metrics-max-callers N   more combinations of their values are counted as other (default 1000)
  --session-header H   header with the caller's name for a session (default x-session-id)
  --metrics-duration-buckets B, --metrics-token-buckets B, --metrics-cost-buckets B
                       upper bounds of the histograms, ascending, such as 0.1,0.5,1
  --otlp-url URL       traces to an OpenTelemetry collector, such as http://collector:4318, or http://collector:4317
                       for gRPC (docs/observability.md); headers are read from SLUICE_OTLP_HEADERS
  --otlp-protocol P    http/protobuf (default), http/json or grpc
  --otlp-ca F          certificates to trust for TLS to it, instead of the system's
  --otlp-metrics M     None (default), GenAI: also metrics of OpenTelemetry's GenAI conventions, or GenAI-1.41: with
                       their names in version 1.41 as well
  --trace-ratio N      share of calls that are traced, 0 to 1 (default 0.1); failed and slow calls are always traced
  --trace-parent M     Respect (default): a caller's traceparent decides for its calls; or Ignore
  --trace-slow-ms N    calls that take longer are always traced (default 10000; 0: none)
  --trace-bodies true  masked bodies in traces, for policies with logging.payloads
  --trace-tags T       added to the span of every call: name=value,name=value`;

interface OtlpGiven {
  otlpUrl: string;
  otlpProtocol: OtlpProtocol;
  otlpCa: string;
  otlpMetrics: string;
}

/** Checks that involve several settings. Returns null if they are consistent. */
export function signalMisfit({ otlpUrl, otlpProtocol, otlpCa, otlpMetrics }: OtlpGiven): string | null {
  if (otlpCa !== "" && !otlpUrl.startsWith("https:")) return "--otlp-ca needs an --otlp-url that begins with https://";
  if (otlpProtocol === "grpc" && otlpUrl !== "" && new URL(otlpUrl).pathname !== "/")
    return "--otlp-url must have no path with --otlp-protocol grpc, such as http://collector:4317";
  return otlpMetrics !== "None" && otlpUrl === "" ? "--otlp-metrics needs --otlp-url, where they are sent" : null;
}

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
