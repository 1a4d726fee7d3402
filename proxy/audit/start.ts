/** The audit log that the settings configure; null if they configure none. */
import { randomUUID } from "node:crypto";
import type { Counter, Gauge, Registry } from "prom-client";
import type { Clock } from "../clock.ts";
import type { Egress } from "../config/egress/egress.ts";
import { stateTlsOf } from "../fleet/open.ts";
import { registerCounter, registerGauge } from "../metrics/register.ts";
import { Sealer } from "../seal/seal.ts";
import type { ProxySettings } from "../settings.ts";
import type { Logger } from "../telemetry/log.ts";
import { otlpHeadersOf } from "../wire/otlp-headers.ts";
import { AuditLog } from "./audit.ts";
import { Chain } from "./chain.ts";
import { FileSink } from "./file.ts";
import { OtlpSink } from "./otlp.ts";
import type { SinkReading } from "./outlet.ts";
import { openRedisSink } from "./redis.ts";
import { type AuditSink, stdoutSink } from "./sink.ts";

function sinksOf(settings: ProxySettings, chain: string, nowMs: () => number, egress: Egress): AuditSink[] {
  const { auditDir: folder, auditMaxBytes: maxBytes, auditRetentionDays: retentionDays } = settings;
  const sinks: AuditSink[] = [];
  if (folder !== "") sinks.push(new FileSink(chain, { folder, maxBytes, retentionDays, nowMs }));
  if (settings.auditRedis)
    sinks.push(
      openRedisSink(
        settings.stateUrl,
        settings.statePassword || null,
        stateTlsOf(settings),
        chain,
        retentionDays,
        nowMs,
      ),
    );
  if (settings.auditOtlpUrl !== "")
    sinks.push(
      new OtlpSink({
        url: settings.auditOtlpUrl,
        headers: otlpHeadersOf(settings.auditOtlpHeaders),
        ca: settings.auditOtlpCa || null,
        protocol: settings.auditOtlpProtocol,
        egress,
      }),
    );
  if (settings.auditStdout) sinks.push(stdoutSink());
  return sinks;
}

/** Shortest interval between two log messages about one sink. */
const tellEveryMs = 10_000;

export async function startAudit(
  settings: ProxySettings,
  log: Logger,
  registry: Registry,
  clock: Clock,
  egress: Egress,
): Promise<AuditLog | null> {
  const id = randomUUID();
  const sinks = sinksOf(settings, id, clock.nowMs, egress);
  if (sinks.length === 0) return null;
  const key = settings.auditKey === "" ? null : Buffer.from(settings.auditKey);
  const reported = new Map<string, number>();
  const isDue = (about: string): boolean => {
    if (clock.nowMs() - (reported.get(about) ?? 0) < tellEveryMs) return false;
    reported.set(about, clock.nowMs());
    return true;
  };
  const audit = await AuditLog.open(new Chain(id, key), sinks, {
    ...clock,
    sealer: settings.sealingKeys.trim() === "" ? null : new Sealer(settings.sealingKeys),
    refused(sink, { records, why }) {
      if (!isDue(`${sink} refused`)) return;
      const line = records === 0 ? "an audit sink warns" : "an audit sink refused records; they are lost to it";
      log.error({ sink, records, err: why }, line);
    },
    trouble(sink, cause) {
      if (!isDue(sink)) return;
      log.error(
        { sink, err: cause instanceof Error ? cause.message : String(cause) },
        "audit records can't be written; they wait",
      );
    },
  });
  const { figures } = audit;
  const perSink = (counts: Map<string, number>) => (counter: Counter) => {
    for (const sink of sinks) counter.inc({ sink: sink.name }, counts.get(sink.name) ?? 0);
  };
  registerCounter(registry, "sluice_audit_dropped_total", perSink(figures.dropped));
  registerCounter(registry, "sluice_audit_failures_total", perSink(figures.failures));
  const perReading = (figure: (reading: SinkReading) => number) => (gauge: Gauge) => {
    for (const reading of audit.readings()) gauge.set({ sink: reading.name }, figure(reading));
  };
  registerGauge(
    registry,
    "sluice_audit_waiting_records",
    perReading(({ waiting }) => waiting),
  );
  registerGauge(
    registry,
    "sluice_audit_lag_seconds",
    perReading(({ lagMs }) => lagMs / 1000),
  );
  registerCounter(registry, "sluice_audit_records_total", (counter) => counter.inc(figures.records));
  return audit;
}
