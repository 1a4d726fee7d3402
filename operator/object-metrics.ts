/** Metrics of objects, computed at each scrape from what the last pass found. */
import { Gauge, type Metric, type Registry } from "prom-client";
import { type Condition, isAmiss, previousConditions } from "./compile/status.ts";
import type { Verdict } from "./compile/verdict.ts";
import type { WorldObject } from "./compile/world.ts";

/** Most conditions shown: 50,000 keys would make every scrape seconds long. */
const maxConditions = 10_000;

interface Shown {
  object: WorldObject;
  condition: Condition;
}

/** Conditions of the objects' present generation, those that report a problem first. */
function conditionsOf(objects: readonly WorldObject[]): Shown[] {
  const amiss: Shown[] = [];
  const fine: Shown[] = [];
  for (const object of objects)
    for (const condition of previousConditions(object.status))
      if (condition.observedGeneration === object.meta.generation)
        (isAmiss(condition) ? amiss : fine).push({ object, condition });
  return [...amiss, ...fine];
}

interface ComputedGauge {
  name: string;
  help: string;
  labelNames: readonly string[];
  values(): { labels: Readonly<Record<string, string>>; value: number }[];
}

/** prom-client would find a series by all its labels for each value, which takes seconds for thousands. */
function computedGauge(registry: Registry, { values, ...head }: ComputedGauge): void {
  const get = () => ({ ...head, type: "gauge", aggregator: "max", values: values() });
  registry.registerMetric({ ...head, get, getForPromString: get } as unknown as Metric);
}

interface CanaryFigures {
  labels: { namespace: string; policy: string; target: string };
  phase: string;
  requests: number;
}

export class ObjectMetrics {
  #objects: readonly WorldObject[] = [];
  #verdicts: readonly Verdict[] = [];
  /** Conditions that the last scrape did not show. */
  #hidden = 0;

  constructor(registry: Registry) {
    this.#registerConditions(registry);
    this.#registerCanaries(registry);
  }

  /** Call after each pass. */
  seen(objects: readonly WorldObject[], verdicts: readonly Verdict[]): void {
    this.#objects = objects;
    this.#verdicts = verdicts;
  }

  #registerConditions(registry: Registry): void {
    computedGauge(registry, {
      name: "sluice_object_condition",
      help: "1 for each condition of an object, with its present status.",
      labelNames: ["kind", "namespace", "name", "type", "status"],
      values: () => {
        const all = conditionsOf(this.#objects);
        this.#hidden = Math.max(all.length - maxConditions, 0);
        return all.slice(0, maxConditions).map(({ object: { kind, meta }, condition: { type, status } }) => ({
          labels: { kind, namespace: meta.namespace, name: meta.name, type, status },
          value: 1,
        }));
      },
    });
    const hidden = (): number => this.#hidden;
    // After the one that counts them: metrics are read in the order in which they were registered.
    new Gauge({
      name: "sluice_object_conditions_hidden",
      help: `Conditions beyond the ${maxConditions} that are shown; those that report a problem are shown first.`,
      registers: [registry],
      collect() {
        this.set(hidden());
      },
    });
  }

  #registerCanaries(registry: Registry): void {
    const canaries = (): CanaryFigures[] => this.#canaries();
    const registers = [registry];
    new Gauge({
      name: "sluice_canary_phase",
      help: "1 for the phase of each policy's canary: Progressing, Promoted or RolledBack.",
      labelNames: ["namespace", "policy", "target", "phase"],
      registers,
      collect() {
        this.reset();
        for (const { labels, phase } of canaries()) this.set({ ...labels, phase }, 1);
      },
    });
    new Gauge({
      name: "sluice_canary_requests",
      help: "Attempts at the canary's target so far.",
      labelNames: ["namespace", "policy", "target"],
      registers,
      collect() {
        this.reset();
        for (const { labels, requests } of canaries()) this.set(labels, requests);
      },
    });
  }

  #canaries(): CanaryFigures[] {
    return this.#verdicts.flatMap(({ kind, meta, status }) => {
      const canary = kind === "RoutingPolicy" ? status["canary"] : undefined;
      const { phase, target, requests = 0 } = (canary ?? {}) as Partial<CanaryFigures> & { target?: string };
      if (phase === undefined || target === undefined) return [];
      return [{ labels: { namespace: meta.namespace, policy: meta.name, target }, phase, requests }];
    });
  }
}
