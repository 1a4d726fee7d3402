/** The operator's own metrics. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { MapMemo } from "../proxy/config/incremental.ts";
import type { Compiled } from "./compile/compile.ts";
import { isError } from "./compile/outcome.ts";
import type { Programmed } from "./compile/status.ts";
import type { Verdict } from "./compile/verdict.ts";

export interface OperatorMetrics {
  registry: Registry;
  pass(pass: { compileMs: number; written: number; compiled: Compiled; programmed: Programmed }): void;
  failed(): void;
  watchFailed(): void;
  leading(now: boolean): void;
  alert(channel: string, result: string): void;
  /** Number of alerts that are firing. */
  alarms(counts: readonly { kind: string; event: string; on: number }[]): void;
}

/** Kind, whether the object is accepted, and the reasons for refusal, separated by spaces. */
function standingOf({ kind, accepted, resolvedRefs, conditions }: Verdict): string {
  const wrong = [...accepted, ...resolvedRefs].filter(isError);
  const unrotated = conditions.filter(({ type, status }) => type === "Rotated" && status === "False");
  const reasons = new Set([...wrong, ...unrotated].map(({ reason }) => reason));
  return [kind, wrong.length === 0, ...reasons].join(" ");
}

export function operatorMetrics(): OperatorMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const standings = new MapMemo<Verdict, string>();
  const passes = new Counter({
    name: "sluice_operator_reconciles_total",
    help: "Passes by result.",
    labelNames: ["result"],
    registers,
  });
  const seconds = new Histogram({
    name: "sluice_operator_compile_seconds",
    help: "Time to compile everything.",
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  const writes = new Counter({
    name: "sluice_operator_objects_published_total",
    help: "ConfigMaps and Secrets written.",
    registers,
  });
  const watches = new Counter({
    name: "sluice_operator_watch_errors_total",
    help: "Lists and watches that failed and were restarted.",
    registers,
  });
  const objects = new Gauge({
    name: "sluice_operator_objects",
    help: "Objects by kind and whether they are accepted.",
    labelNames: ["kind", "accepted"],
    registers,
  });
  const refusals = new Gauge({
    name: "sluice_operator_refusals",
    help: "Objects refused in whole or in part, by kind and reason.",
    labelNames: ["kind", "reason"],
    registers,
  });
  const proxies = new Gauge({
    name: "sluice_operator_proxies",
    help: "Ready proxies, and those at the newest revision.",
    labelNames: ["state"],
    registers,
  });
  const leader = new Gauge({ name: "sluice_operator_leader", help: "1 while this process leads.", registers });
  const alerts = new Counter({
    name: "sluice_operator_alerts_total",
    help: "Alerts by channel and result; retried counts each failed attempt.",
    labelNames: ["channel", "result"],
    registers,
  });
  const alarms = new Gauge({
    name: "sluice_operator_alarms",
    help: "Providers and policies whose spec.alertWhen is true now, by kind and event.",
    labelNames: ["kind", "event"],
    registers,
  });
  return {
    registry,
    alarms(counts) {
      alarms.reset();
      for (const { kind, event, on } of counts) alarms.set({ kind, event }, on);
    },
    alert: (channel, result) => alerts.inc({ channel, result }),
    pass({ compileMs, written, compiled, programmed }) {
      passes.inc({ result: "ok" });
      seconds.observe(compileMs / 1000);
      writes.inc(written);
      objects.reset();
      const counts = new Map<string, number>();
      for (const standing of standings.of(compiled.verdicts, standingOf))
        counts.set(standing, (counts.get(standing) ?? 0) + 1);
      refusals.reset();
      for (const [standing, count] of counts) {
        const [kind = "", accepted = "", ...reasons] = standing.split(" ");
        objects.inc({ kind, accepted }, count);
        for (const reason of reasons) refusals.inc({ kind, reason }, count);
      }
      proxies.set({ state: "ready" }, programmed.total);
      proxies.set({ state: "current" }, programmed.live);
    },
    failed: () => passes.inc({ result: "error" }),
    watchFailed: () => watches.inc(),
    leading: (now) => leader.set(now ? 1 : 0),
  };
}
