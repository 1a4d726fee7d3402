/**
 * Metrics of calls. Series are found by nested look-ups of the call's own strings and then kept, so counting is an
 * addition. A series is created when it is first counted, and stays.
 */
import type { Registry } from "prom-client";
import { type BilledUsage, chargesOf, isUnpriced } from "../call/charges.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import type { ExportedTrace } from "../call/trace-context.ts";
import { measuredUnits, unitMeasures } from "../config/ledger.ts";
import { reportNames } from "../config/usage-report.ts";
import type { Units } from "../dialects/canonical.ts";
import { type FailureCode, failures } from "../failure.ts";
import { GrowingMap } from "../growing-map.ts";
import { CallersSeries } from "../metrics/caller-labels.ts";
import type { CounterSeries, HistogramSeries, Labels } from "../metrics/series.ts";
import type { AttemptCause } from "../wire/causes.ts";
import { type CallFamilies, type CallMetricsOptions, callFamilies, defaultCallMetrics } from "./call-families.ts";

const nanoUsd = 1_000_000_000;

/** Series of one provider's model, for all callers together. */
class ModelSeries {
  readonly #all: CallFamilies;
  readonly #labels: { provider: string; model: string };
  readonly outcomes: GrowingMap<string, CounterSeries>;
  readonly causes: GrowingMap<string, GrowingMap<AttemptCause, CounterSeries>>;
  readonly gatewayTime: HistogramSeries;
  readonly providerTime: HistogramSeries;
  #input: HistogramSeries | null = null;
  #output: HistogramSeries | null = null;
  #unpriced: CounterSeries | null = null;
  #perRequest: HistogramSeries | null = null;
  #implausible: CounterSeries | null = null;
  readonly #units: GrowingMap<string, CounterSeries>;

  constructor(all: CallFamilies, provider: string, model: string) {
    this.#all = all;
    const labels = { provider, model };
    this.#labels = labels;
    this.outcomes = new GrowingMap((outcome) => all.attempts.of({ ...labels, outcome }));
    this.causes = new GrowingMap(
      (outcome) => new GrowingMap((cause) => all.attempts.of({ ...labels, outcome, cause })),
    );
    this.#units = new GrowingMap((unit) => all.units.of({ ...labels, unit }));
    this.gatewayTime = all.time.of({ ...labels, part: "gateway" });
    this.providerTime = all.time.of({ ...labels, part: "provider" });
  }

  charge(billed: BilledUsage, trace: ExportedTrace | null): void {
    const { usage } = billed;
    const { tokenCount } = this.#all;
    (this.#input ??= tokenCount.of({ ...this.#labels, type: "input" })).observe(usage.prompt, trace);
    (this.#output ??= tokenCount.of({ ...this.#labels, type: "output" })).observe(usage.completion, trace);
    if (usage.units !== undefined) this.#count(usage.units);
    if (isUnpriced(billed)) (this.#unpriced ??= this.#all.unpriced.of(this.#labels)).add(1);
  }

  #count(units: Units): void {
    for (const unit of measuredUnits) {
      const count = units[unit] ?? 0;
      if (count > 0) this.#units.at(reportNames[unitMeasures[unit]]).add(count);
    }
  }

  cost(nano: number, trace: ExportedTrace | null): void {
    (this.#perRequest ??= this.#all.costPerRequest.of(this.#labels)).observe(nano / nanoUsd, trace);
  }

  implausible(): void {
    (this.#implausible ??= this.#all.implausible.of(this.#labels)).add(1);
  }
}

/** A caller's usage of one provider's model. */
class BilledSeries {
  readonly #all: CallFamilies;
  readonly #labels: Labels;
  #input: CounterSeries | null = null;
  #cachedInput: CounterSeries | null = null;
  #output: CounterSeries | null = null;
  #reasoning: CounterSeries | null = null;
  #cost: CounterSeries | null = null;
  #saved: CounterSeries | null = null;

  constructor(all: CallFamilies, labels: Labels) {
    this.#all = all;
    this.#labels = labels;
  }

  charge({ usage, costNanoUsd = null }: BilledUsage): void {
    const { prompt, cachedPrompt, completion, reasoning } = usage;
    (this.#input ??= this.#tokens("input")).add(prompt - cachedPrompt);
    if (cachedPrompt > 0) (this.#cachedInput ??= this.#tokens("cached_input")).add(cachedPrompt);
    (this.#output ??= this.#tokens("output")).add(completion - reasoning);
    if (reasoning > 0) (this.#reasoning ??= this.#tokens("reasoning")).add(reasoning);
    if (costNanoUsd !== null) (this.#cost ??= this.#all.cost.of(this.#labels)).add(costNanoUsd / nanoUsd);
  }

  saved(nano: number): void {
    (this.#saved ??= this.#all.saved.of(this.#labels)).add(nano / nanoUsd);
  }

  #tokens(type: string): CounterSeries {
    return this.#all.tokens.of({ ...this.#labels, type });
  }
}

/** A caller's calls of a policy to one provider's model. */
class OutcomeSeries {
  readonly operations: GrowingMap<string, GrowingMap<number, CounterSeries>>;
  readonly codes: GrowingMap<FailureCode, CounterSeries>;

  constructor(all: CallFamilies, labels: Labels) {
    this.operations = new GrowingMap(
      (operation) => new GrowingMap((status) => all.requests.of({ ...labels, operation, status: String(status) })),
    );
    this.codes = new GrowingMap((code) => all.errors.of({ ...labels, code, blame: failures[code].blame }));
  }
}

/** Series whose labels name the caller, if the installation enables that; otherwise all callers share one. */
class CallerSeries {
  readonly calls: GrowingMap<string, GrowingMap<string, GrowingMap<string, OutcomeSeries>>>;
  readonly billed: GrowingMap<string, GrowingMap<string, BilledSeries>>;
  readonly #refusals: GrowingMap<string, readonly [CounterSeries, CounterSeries]>;

  constructor(all: CallFamilies, caller: Labels) {
    this.calls = new GrowingMap(
      (route) =>
        new GrowingMap(
          (provider) => new GrowingMap((model) => new OutcomeSeries(all, { route, provider, model, ...caller })),
        ),
    );
    this.billed = new GrowingMap(
      (provider) => new GrowingMap((model) => new BilledSeries(all, { provider, model, ...caller })),
    );
    this.#refusals = new GrowingMap((reason) => {
      const labels = { reason, ...caller };
      return [all.unauthorized.of(labels), all.unauthorizedAlias.of(labels)];
    });
  }

  count(call: CallRecord): void {
    const outcome = this.calls.at(call.route).at(call.provider).at(call.model);
    outcome.operations.at(call.operation).at(call.status).add(1);
    if (call.code !== null) outcome.codes.at(call.code).add(1);
    if (call.savedNanoUsd !== null) this.billed.at(call.provider).at(call.model).saved(call.savedNanoUsd);
    if (call.code !== null && (call.status === 401 || call.status === 403))
      for (const series of this.#refusals.at(call.code)) series.add(1);
  }
}

/** Durations of a policy's calls to one provider's model. */
class DurationSeries {
  readonly #all: CallFamilies;
  readonly #labels: { route: string; provider: string; model: string };
  readonly #durations: GrowingMap<number, HistogramSeries>;
  #firstToken: HistogramSeries | null = null;

  constructor(all: CallFamilies, route: string, provider: string, model: string) {
    const labels = { route, provider, model };
    this.#all = all;
    this.#labels = labels;
    this.#durations = new GrowingMap((status) => all.duration.of({ ...labels, status: String(status) }));
  }

  count(call: CallRecord): void {
    this.#durations.at(call.status).observe(call.durationMs / 1000, call.exported);
    if (call.firstByteMs !== null)
      (this.#firstToken ??= this.#all.firstToken.of(this.#labels)).observe(call.firstByteMs / 1000, call.exported);
  }
}

/** Series of one policy. */
class RouteSeries {
  readonly durations: GrowingMap<string, GrowingMap<string, DurationSeries>>;
  readonly #masked: GrowingMap<string, readonly CounterSeries[]>;
  readonly #cached: GrowingMap<string, CounterSeries>;
  readonly #lookups: GrowingMap<string, CounterSeries>;
  /** By the targets that sessions moved from and to: number and cost of the moves. */
  readonly #moves: GrowingMap<string, GrowingMap<string, readonly [CounterSeries, CounterSeries]>>;
  readonly #all: CallFamilies;
  readonly #labels: { route: string };
  #similarity: HistogramSeries | null = null;

  constructor(all: CallFamilies, route: string) {
    this.#all = all;
    this.#labels = { route };
    this.durations = new GrowingMap(
      (provider) => new GrowingMap((model) => new DurationSeries(all, route, provider, model)),
    );
    this.#masked = new GrowingMap((type) =>
      [all.detected, all.masked, all.maskedAlias].map((family) => family.of({ route, type })),
    );
    this.#cached = new GrowingMap((result) => all.cached.of({ route, result }));
    this.#lookups = new GrowingMap((result) => all.lookups.of({ route, result }));
    this.#moves = new GrowingMap(
      (from) =>
        new GrowingMap((to) => [all.moves.of({ route, from, to }), all.moveCost.of({ route, from, to })] as const),
    );
  }

  count({ masked, cache, semantic, moved, exported }: CallRecord): void {
    if (moved !== undefined) this.#countMove(moved);
    if (masked !== null)
      for (const [type, times] of Object.entries(masked)) for (const series of this.#masked.at(type)) series.add(times);
    if (cache !== null) this.#cached.at(cache).add(1);
    if (semantic === null) return;
    this.#lookups.at(semantic.result).add(1);
    if (semantic.similarity !== null)
      (this.#similarity ??= this.#all.similarity.of(this.#labels)).observe(semantic.similarity, exported);
  }

  #countMove({ from, to, costNanoUsd }: NonNullable<CallRecord["moved"]>): void {
    const [moves, cost] = this.#moves.at(from).at(to);
    moves.add(1);
    cost.add((costNanoUsd ?? 0) / nanoUsd);
  }
}

/** Registers the metrics of calls. The returned function counts one call. */
export function callMetrics(
  registry: Registry,
  options: CallMetricsOptions = defaultCallMetrics,
): (call: CallRecord) => void {
  const all = callFamilies(registry, options);
  const overflow = all.overflow.of({});
  const models = new GrowingMap(
    (provider: string) => new GrowingMap((model: string) => new ModelSeries(all, provider, model)),
  );
  const routes = new GrowingMap((route: string) => new RouteSeries(all, route));
  const callers = new CallersSeries(
    options,
    (labels) => new CallerSeries(all, labels),
    () => overflow.add(1),
  );
  const failovers = new GrowingMap((from: string) => new GrowingMap((to: string) => all.failover.of({ from, to })));

  const countAttempts = (call: CallRecord): void => {
    let previous: string | null = null;
    const { attempts } = call;
    for (let index = 0; index < attempts.length; index++) {
      const { provider, model, outcome, cause, implausible } = attempts[index] as AttemptRecord;
      const series = models.at(provider).at(model);
      if (implausible) series.implausible();
      (cause === undefined ? series.outcomes.at(outcome) : series.causes.at(outcome).at(cause)).add(1);
      if (previous !== null && previous !== provider) failovers.at(previous).at(provider).add(1);
      previous = provider;
    }
  };

  const countTime = (call: CallRecord): void => {
    if (call.attempts.length === 0) return;
    let providerMs = 0;
    for (let index = 0; index < call.attempts.length; index++) providerMs += call.attempts[index]?.durationMs ?? 0;
    const series = models.at(call.provider).at(call.model);
    series.providerTime.observe(providerMs / 1000, call.exported);
    series.gatewayTime.observe(Math.max(call.durationMs - providerMs, 0) / 1000, call.exported);
  };

  return (call) => {
    const route = routes.at(call.route);
    route.durations.at(call.provider).at(call.model).count(call);
    route.count(call);
    const caller = callers.of(call);
    caller.count(call);
    countAttempts(call);
    countTime(call);
    for (const charge of chargesOf(call)) {
      models.at(charge.provider).at(call.model).charge(charge, call.exported);
      caller.billed.at(charge.provider).at(call.model).charge(charge);
    }
    if (call.costNanoUsd !== null) models.at(call.provider).at(call.model).cost(call.costNanoUsd, call.exported);
  };
}
