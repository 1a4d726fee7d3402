/** Traces as the settings configure them. */
import { Buffer } from "node:buffer";
import type { Registry } from "prom-client";
import type { CallRecord } from "../call/record.ts";
import type { Clock } from "../clock.ts";
import type { Egress } from "../config/egress/egress.ts";
import { registerCounter } from "../metrics/register.ts";
import type { ProxySettings } from "../settings.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Collector, OtlpProtocol } from "../wire/otlp-collector.ts";
import { GrpcCollector } from "../wire/otlp-grpc.ts";
import { otlpHeadersOf } from "../wire/otlp-headers.ts";
import { HttpCollector } from "../wire/otlp-http.ts";
import { GenAiMetrics } from "./genai-metrics.ts";
import type { OtlpEncoding } from "./otlp.ts";
import { otlpJson } from "./otlp-json.ts";
import { otlpProtobuf } from "./otlp-protobuf.ts";
import { SpanQueue } from "./span-queue.ts";
import { Tracer } from "./tracer.ts";

export interface Tracing {
  /** null where nothing is exported. */
  tracer: Tracer | null;
  record(call: CallRecord): void;
  close(): Promise<void>;
}

const logEveryMs = 60_000;

/** The Protobuf form goes by HTTP and by gRPC. */
const encodingOf = (protocol: OtlpProtocol): OtlpEncoding => (protocol === "http/json" ? otlpJson : otlpProtobuf);

function metricsBody(metrics: string, { metrics: frame, charset }: OtlpEncoding): Buffer {
  const before = frame.before(Buffer.byteLength(metrics, charset));
  return Buffer.from(`${before}${metrics}${frame.after}`, charset);
}

/** Metrics are cumulative: one that is not taken is made up for by the next. */
const metricsEveryMs = 15_000;

function exportMetrics(
  metrics: GenAiMetrics,
  encoding: OtlpEncoding,
  collector: Collector,
  { after }: Clock,
): () => Promise<void> {
  const send = async (): Promise<void> => {
    const text = metrics.text(encoding);
    if (text !== "") await collector.send("metrics", metricsBody(text, encoding));
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

function collectorOf(settings: ProxySettings, { contentType }: OtlpEncoding, egress: Egress): Collector {
  const options = {
    url: settings.otlpUrl,
    headers: otlpHeadersOf(settings.otlpHeaders),
    ca: settings.otlpCa === "" ? null : settings.otlpCa,
    egress,
  };
  return settings.otlpProtocol === "grpc" ? new GrpcCollector(options) : new HttpCollector(options, contentType);
}

export function startTracing(
  settings: ProxySettings,
  log: Logger,
  registry: Registry,
  clock: Clock,
  egress: Egress,
): Tracing {
  const off: Tracing = { tracer: null, record: () => undefined, close: () => Promise.resolve() };
  if (settings.otlpUrl === "") return off;
  const encoding = encodingOf(settings.otlpProtocol);
  const collector = collectorOf(settings, encoding, egress);
  const occasionally = (write: (about: object, line: string) => void): typeof write => {
    let loggedMs = Number.NEGATIVE_INFINITY;
    return (about, line) => {
      if (clock.nowMs() - loggedMs < logEveryMs) return;
      loggedMs = clock.nowMs();
      write(about, line);
    };
  };
  const failure = occasionally((about, line) => log.warn(about, line));
  const rejection = occasionally((about, line) => log.warn(about, line));
  const queue = new SpanQueue({
    encoding,
    send: (body) => collector.send("traces", body),
    after: clock.after,
    trouble: (why) => failure({ err: why }, "traces can't be sent; spans are dropped"),
    rejected(spans, why) {
      const err = why === "" ? "the collector gives no reason" : why;
      const line = spans === 0 ? "the collector warns about traces" : "the collector rejected spans; they are dropped";
      rejection({ err, spans }, line);
    },
  });
  const { figures } = queue;
  registerCounter(registry, "sluice_trace_spans_total", (counter) => counter.inc(figures.exported));
  registerCounter(registry, "sluice_trace_spans_dropped_total", (counter) => {
    for (const [reason, spans] of Object.entries(figures.dropped)) counter.inc({ reason }, spans);
  });
  const tracer = new Tracer(
    {
      ratio: settings.traceRatio,
      parentDecides: settings.traceParent === "Respect",
      slowMs: settings.traceSlowMs,
      bodies: settings.traceBodies,
      tags: settings.traceTags,
    },
    encoding,
    queue,
  );
  const metrics = settings.otlpMetrics === "None" ? null : new GenAiMetrics(settings.otlpMetrics === "GenAI-1.41");
  const lastMetrics = metrics === null ? () => Promise.resolve() : exportMetrics(metrics, encoding, collector, clock);
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
