/** Traces as the settings configure them. */
import type { Registry } from "prom-client";
import type { CallRecord } from "../call/record.ts";
import type { Clock } from "../clock.ts";
import { registerCounter } from "../metrics/register.ts";
import type { ProxySettings } from "../settings.ts";
import type { Logger } from "../telemetry/log.ts";
import { Collector } from "../wire/otlp-collector.ts";
import { otlpHeadersOf } from "../wire/otlp-headers.ts";
import { GenAiMetrics } from "./genai-metrics.ts";
import { attributesText } from "./otlp-json.ts";
import { SpanQueue } from "./span-queue.ts";
import { Tracer } from "./tracer.ts";

export interface Tracing {
  /** null where nothing is exported. */
  tracer: Tracer | null;
  record(call: CallRecord): void;
  close(): Promise<void>;
}

const tellEveryMs = 60_000;
const resource = `{"attributes":${attributesText({ "service.name": "sluice-proxy" })}}`;
const scope = '{"name":"sluice.proxy"}';

const tracesFrame = {
  before: `{"resourceSpans":[{"resource":${resource},"scopeSpans":[{"scope":${scope},"spans":[`,
  after: "]}]}]}",
};

const metricsBody = (metrics: string): string =>
  `{"resourceMetrics":[{"resource":${resource},"scopeMetrics":[{"scope":${scope},"metrics":[${metrics}]}]}]}`;

/** Metrics are cumulative: one that is not taken is made up for by the next. */
const metricsEveryMs = 15_000;

function exportMetrics(metrics: GenAiMetrics, collector: Collector, { after }: Clock): () => Promise<void> {
  const send = async (): Promise<void> => {
    const text = metrics.text();
    if (text !== "") await collector.post("/v1/metrics", metricsBody(text));
  };
  let cancel = (): void => undefined;
  const schedule = (): void => {
    cancel = after(metricsEveryMs, () => void send().finally(schedule));
  };
  schedule();
  return async () => {
    cancel();
    await send();
  };
}

export function startTracing(settings: ProxySettings, log: Logger, registry: Registry, clock: Clock): Tracing {
  const off: Tracing = { tracer: null, record: () => undefined, close: () => Promise.resolve() };
  if (settings.otlpUrl === "") return off;
  const collector = new Collector({
    url: settings.otlpUrl,
    headers: otlpHeadersOf(settings.otlpHeaders),
    ca: settings.otlpCa === "" ? null : settings.otlpCa,
  });
  let toldMs = Number.NEGATIVE_INFINITY;
  const queue = new SpanQueue({
    frame: tracesFrame,
    send: (body) => collector.post("/v1/traces", body),
    after: clock.after,
    trouble(why) {
      if (clock.nowMs() - toldMs < tellEveryMs) return;
      toldMs = clock.nowMs();
      log.warn({ err: why }, "traces can't be sent; spans are dropped");
    },
  });
  const { figures } = queue;
  registerCounter(registry, "sluice_trace_spans_total", (counter) => counter.inc(figures.exported));
  registerCounter(registry, "sluice_trace_spans_dropped_total", (counter) => counter.inc(figures.dropped));
  const tracer = new Tracer(
    {
      ratio: settings.traceRatio,
      parentDecides: settings.traceParent === "Respect",
      slowMs: settings.traceSlowMs,
      bodies: settings.traceBodies,
      tags: settings.traceTags,
    },
    queue,
  );
  const metrics = settings.otlpMetrics === "None" ? null : new GenAiMetrics(settings.otlpMetrics === "GenAI-1.41");
  const lastMetrics = metrics === null ? () => Promise.resolve() : exportMetrics(metrics, collector, clock);
  return {
    tracer,
    record(call) {
      tracer.record(call);
      metrics?.record(call);
      // Recorders that keep calls must not keep the request with them.
      call.trace = null;
    },
    async close() {
      await queue.close();
      await lastMetrics();
      await collector.close();
    },
  };
}
