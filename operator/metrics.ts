/** The operator's own metrics. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { MapMemo } from "../proxy/config/incremental.ts";
import type { Compiled } from "./compile/compile.ts";
import { isError } from "./compile/outcome.ts";
import type { Programmed } from "./compile/status.ts";
import type { Verdict } from "./compile/verdict.ts";
import type { WorldObject } from "./compile/world.ts";
import { ObjectMetrics } from "./object-metrics.ts";

export interface OperatorMetrics {
  registry: Registry;
  pass(pass: {
    compileMs: number;
    written: number;
    compiled: Compiled;
    programmed: Programmed;
    objects: readonly WorldObject[];
    /** How long a change took until every proxy served it; null if none was completed in this pass. */
    liveMs: number | null;
  }): void;
  failed(): void;
  watchFailed(): void;
  /** Number of namespaces in which another installation writes statuses as well. */
  contested(namespaces: number): void;
  leading(now: boolean): void;
  /** Rights that the operator needs and lacks. */
  missing(rights: readonly { verb: string; resource: string; namespace: string }[]): void;
  alert(channel: string, result: string): void;
  /** Number of object alerts that are firing. */
  objectAlerts(counts: readonly { kind: string; event: string; on: number }[]): void;
}

/** Kind, whether the object is accepted, and the reasons for refusal, separated by spaces. */
function standingOf({ kind, accepted, resolvedRefs, conditions }: Verdict): string {
  const wrong = [...accepted, ...resolvedRefs].filter(isError);
  const unrotated = conditions.filter(({ type, status }) => type === "Rotated" && status === "False");
  const reasons = new Set([...wrong, ...unrotated].map(({ reason }) => reason));
  return [kind, wrong.length === 0, ...reasons].join(" ");
}

/** Counts of work, registered with `registry`. */
function workInstruments(registry: Registry) {
  const registers = [registry];
  return {
    passes: new Counter({
      name: "sluice_operator_reconciles_total",
      help: "Passes by result.",
      labelNames: ["result"],
      registers,
    }),
    seconds: new Histogram({
      name: "sluice_operator_compile_seconds",
      help: "Time to compile everything.",
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    }),
    rollouts: new Histogram({
      name: "sluice_operator_apply_to_live_seconds",
      help: "Time from a change of an object until every ready proxy serves it.",
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300],
      registers,
    }),
    writes: new Counter({
      name: "sluice_operator_objects_published_total",
      help: "ConfigMaps and Secrets written.",
      registers,
    }),
    contests: new Gauge({
      name: "sluice_operator_contested_namespaces",
      help: "Namespaces in which another installation writes statuses as well.",
      registers,
    }),
    rights: new Gauge({
      name: "sluice_operator_missing_rights",
      help: "1 for each right that the operator needs and lacks; namespace is empty for all namespaces.",
      labelNames: ["verb", "resource", "namespace"],
      registers,
    }),
    watches: new Counter({
      name: "sluice_operator_watch_errors_total",
      help: "Lists and watches that failed and were restarted.",
      registers,
    }),
  };
}

/** The state after the last pass, and alerts, registered with `registry`. */
function stateInstruments(registry: Registry) {
  const registers = [registry];
  return {
    objects: new Gauge({
      name: "sluice_operator_objects",
      help: "Objects by kind and whether they are accepted.",
      labelNames: ["kind", "accepted"],
      registers,
    }),
    refusals: new Gauge({
      name: "sluice_operator_refusals",
      help: "Objects refused in whole or in part, by kind and reason.",
      labelNames: ["kind", "reason"],
      registers,
    }),
    proxies: new Gauge({
      name: "sluice_operator_proxies",
      help: "Ready proxies, and those at the newest revision.",
      labelNames: ["state"],
      registers,
    }),
    leader: new Gauge({ name: "sluice_operator_leader", help: "1 while this process leads.", registers }),
    alerts: new Counter({
      name: "sluice_operator_alerts_total",
      help: "Alerts by channel and result; retried counts each failed attempt.",
      labelNames: ["channel", "result"],
      registers,
    }),
    objectAlerts: new Gauge({
      name: "sluice_operator_alarms",
      help: "Providers and policies whose spec.alertWhen is true now, by kind and event.",
      labelNames: ["kind", "event"],
      registers,
    }),
  };
}

function countObjects({ objects, refusals }: ReturnType<typeof stateInstruments>, labelSets: Iterable<string>): void {
  const counts = new Map<string, number>();
  for (const labelSet of labelSets) counts.set(labelSet, (counts.get(labelSet) ?? 0) + 1);
  objects.reset();
  refusals.reset();
  for (const [labelSet, count] of counts) {
    const [kind = "", accepted = "", ...reasons] = labelSet.split(" ");
    objects.inc({ kind, accepted }, count);
    for (const reason of reasons) refusals.inc({ kind, reason }, count);
  }
}

export function operatorMetrics(): OperatorMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges that are named like counters; the same by type stay.
  for (const what of ["handles", "requests", "resources"]) registry.removeSingleMetric(`nodejs_active_${what}_total`);
  const labelSets = new MapMemo<Verdict, string>();
  const all = { ...workInstruments(registry), ...stateInstruments(registry) };
  const shown = new ObjectMetrics(registry);
  return {
    registry,
    objectAlerts(counts) {
      all.objectAlerts.reset();
      for (const { kind, event, on } of counts) all.objectAlerts.set({ kind, event }, on);
    },
    alert: (channel, result) => all.alerts.inc({ channel, result }),
    pass({ compileMs, written, compiled, programmed, objects, liveMs }) {
      shown.seen(objects, compiled.verdicts);
      if (liveMs !== null) all.rollouts.observe(liveMs / 1000);
      all.passes.inc({ result: "ok" });
      all.seconds.observe(compileMs / 1000);
      all.writes.inc(written);
      countObjects(all, labelSets.of(compiled.verdicts, standingOf));
      all.proxies.set({ state: "ready" }, programmed.total);
      all.proxies.set({ state: "current" }, programmed.live);
    },
    failed: () => all.passes.inc({ result: "error" }),
    watchFailed: () => all.watches.inc(),
    contested: (namespaces) => all.contests.set(namespaces),
    leading: (now) => all.leader.set(now ? 1 : 0),
    missing(rights) {
      all.rights.reset();
      for (const { verb, resource, namespace } of rights) all.rights.set({ verb, resource, namespace }, 1);
    },
  };
}

interface OperatorMetricSpec {
  name: string;
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels: readonly string[];
}

const typeOf = (metric: object): OperatorMetricSpec["type"] =>
  metric instanceof Counter ? "counter" : metric instanceof Histogram ? "histogram" : "gauge";

/** The operator's own metrics, for their documentation. */
export function operatorMetricSpecs(): OperatorMetricSpec[] {
  const metrics = operatorMetrics().registry.getMetricsAsArray() as unknown as {
    name: string;
    help: string;
    labelNames?: readonly string[];
  }[];
  return metrics
    .filter(({ name }) => !/^(nodejs|process)_/.test(name))
    .map((metric) => ({
      name: metric.name,
      type: typeOf(metric),
      help: metric.help,
      labels: metric.labelNames ?? [],
    }));
}
