/**
 * Metrics of calls. Series are found by nested look-ups of the call's own strings and then kept, so counting is an
 * addition. A series is created when it is first counted, and stays.
 */
import type { Registry } from "prom-client";
import { type BilledUsage, chargesOf } from "../call/charges.ts";
import { type CallRecord, semanticResults } from "../call/record.ts";
import { type FailureCode, failures } from "../failure.ts";
import { GrowingMap } from "../growing-map.ts";
import type { AttemptCause } from "../wire/causes.ts";
import { CounterFamily, type CounterSeries, HistogramFamily, type HistogramSeries } from "./series.ts";

const durationBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const similarityBuckets = [0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995, 0.999];
const tokenBuckets = [10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 100_000, 500_000];

const nanoUsd = 1_000_000_000;

const familiesOf = (registry: Registry) => ({
  requests: new CounterFamily(registry, "ai_gateway_requests_total", "Calls by outcome."),
  errors: new CounterFamily(registry, "ai_gateway_errors_total", "Failed calls by code, and by who can mend them."),
  unauthorized: new CounterFamily(
    registry,
    "ai_gateway_unauthorized_attempts",
    "Calls refused for want of a usable key or of permission.",
  ),
  tokens: new CounterFamily(
    registry,
    "ai_gateway_tokens_total",
    "Tokens by type: input, cached_input, output, reasoning.",
  ),
  duration: new HistogramFamily(
    registry,
    "ai_request_duration",
    "Seconds from the request to the last byte of its answer.",
    durationBuckets,
  ),
  firstToken: new HistogramFamily(
    registry,
    "ai_time_to_first_token",
    "Seconds from sending a request upstream to the first byte of the answer.",
    durationBuckets,
  ),
  tokenCount: new HistogramFamily(
    registry,
    "ai_token_count",
    "Tokens of one call, input and output together.",
    tokenBuckets,
  ),
  attempts: new CounterFamily(
    registry,
    "ai_gateway_upstream_attempts_total",
    "Attempts at providers by outcome, and by cause where the connection failed.",
  ),
  failover: new CounterFamily(
    registry,
    "ai_gateway_provider_failover_total",
    "Calls that went on from one provider to another.",
  ),
  cost: new CounterFamily(registry, "ai_gateway_cost_total", "USD, from the models' prices."),
  unpriced: new CounterFamily(
    registry,
    "ai_gateway_unpriced_requests_total",
    "Answered calls whose model has no price.",
  ),
  implausible: new CounterFamily(
    registry,
    "ai_gateway_implausible_usage_total",
    "Answers whose reported usage no such call can have; they are charged by an estimate.",
  ),
  masked: new CounterFamily(registry, "ai_gateway_masked_total", "Personal data that was masked, by policy and type."),
  cached: new CounterFamily(
    registry,
    "ai_gateway_cache_requests_total",
    "Calls of policies with a cache, by result: hit, semantic, miss, bypass.",
  ),
  lookups: new CounterFamily(
    registry,
    "ai_gateway_semantic_lookups_total",
    `Look-ups by meaning, by result: ${semanticResults.join(", ")}.`,
  ),
  similarity: new HistogramFamily(
    registry,
    "ai_gateway_semantic_similarity",
    "Similarity of a question to the nearest that was kept.",
    similarityBuckets,
  ),
  saved: new CounterFamily(
    registry,
    "ai_gateway_cache_saved_cost_total",
    "USD that answers from the cache would have cost.",
  ),
});

type Families = ReturnType<typeof familiesOf>;

/** Series of one provider's model. */
class ModelSeries {
  readonly #all: Families;
  readonly #labels: { provider: string; model: string };
  readonly outcomes: GrowingMap<string, CounterSeries>;
  readonly causes: GrowingMap<string, GrowingMap<AttemptCause, CounterSeries>>;
  #input: CounterSeries | null = null;
  #cachedInput: CounterSeries | null = null;
  #output: CounterSeries | null = null;
  #reasoning: CounterSeries | null = null;
  #tokenCount: HistogramSeries | null = null;
  #unpriced: CounterSeries | null = null;
  #cost: CounterSeries | null = null;
  #saved: CounterSeries | null = null;
  #implausible: CounterSeries | null = null;

  constructor(all: Families, provider: string, model: string) {
    this.#all = all;
    this.#labels = { provider, model };
    this.outcomes = new GrowingMap((outcome) => all.attempts.of({ ...this.#labels, outcome }));
    this.causes = new GrowingMap(
      (outcome) => new GrowingMap((cause) => all.attempts.of({ ...this.#labels, outcome, cause })),
    );
  }

  charge({ usage, costNanoUsd }: BilledUsage): void {
    this.#countTokens(usage);
    if (costNanoUsd === null) (this.#unpriced ??= this.#all.unpriced.of(this.#labels)).add(1);
    else (this.#cost ??= this.#all.cost.of(this.#labels)).add(costNanoUsd / nanoUsd);
  }

  saved(nano: number): void {
    (this.#saved ??= this.#all.saved.of(this.#labels)).add(nano / nanoUsd);
  }

  implausible(): void {
    (this.#implausible ??= this.#all.implausible.of(this.#labels)).add(1);
  }

  #countTokens({ prompt, cachedPrompt, completion, reasoning }: NonNullable<CallRecord["usage"]>): void {
    (this.#input ??= this.#tokens("input")).add(prompt - cachedPrompt);
    if (cachedPrompt > 0) (this.#cachedInput ??= this.#tokens("cached_input")).add(cachedPrompt);
    (this.#output ??= this.#tokens("output")).add(completion - reasoning);
    if (reasoning > 0) (this.#reasoning ??= this.#tokens("reasoning")).add(reasoning);
    (this.#tokenCount ??= this.#all.tokenCount.of(this.#labels)).observe(prompt + completion);
  }

  #tokens(type: string): CounterSeries {
    return this.#all.tokens.of({ ...this.#labels, type });
  }
}

/** Series of a policy's calls to one provider's model. */
class CallSeries {
  readonly #all: Families;
  readonly #labels: { route: string; provider: string; model: string };
  readonly model: ModelSeries;
  readonly #operations: GrowingMap<string, GrowingMap<number, CounterSeries>>;
  readonly #codes: GrowingMap<FailureCode, CounterSeries>;
  readonly #duration: HistogramSeries;
  #firstToken: HistogramSeries | null = null;

  constructor(all: Families, route: string, provider: string, model: string, series: ModelSeries) {
    const labels = { route, provider, model };
    this.#all = all;
    this.#labels = labels;
    this.model = series;
    this.#operations = new GrowingMap(
      (operation) => new GrowingMap((status) => all.requests.of({ ...labels, operation, status: String(status) })),
    );
    this.#codes = new GrowingMap((code) => all.errors.of({ ...labels, code, blame: failures[code].blame }));
    this.#duration = all.duration.of(labels);
  }

  count(call: CallRecord): void {
    this.#operations.at(call.operation).at(call.status).add(1);
    this.#duration.observe(call.durationMs / 1000);
    if (call.firstByteMs !== null)
      (this.#firstToken ??= this.#all.firstToken.of(this.#labels)).observe(call.firstByteMs / 1000);
    if (call.code !== null) this.#codes.at(call.code).add(1);
    if (call.savedNanoUsd !== null) this.model.saved(call.savedNanoUsd);
  }
}

/** Series of one policy. */
class RouteSeries {
  readonly calls: GrowingMap<string, GrowingMap<string, CallSeries>>;
  readonly #masked: GrowingMap<string, CounterSeries>;
  readonly #cached: GrowingMap<string, CounterSeries>;
  readonly #lookups: GrowingMap<string, CounterSeries>;
  readonly #all: Families;
  readonly #labels: { route: string };
  #similarity: HistogramSeries | null = null;

  constructor(all: Families, route: string, models: GrowingMap<string, GrowingMap<string, ModelSeries>>) {
    this.#all = all;
    this.#labels = { route };
    this.calls = new GrowingMap(
      (provider) =>
        new GrowingMap((model) => new CallSeries(all, route, provider, model, models.at(provider).at(model))),
    );
    this.#masked = new GrowingMap((type) => all.masked.of({ route, type }));
    this.#cached = new GrowingMap((result) => all.cached.of({ route, result }));
    this.#lookups = new GrowingMap((result) => all.lookups.of({ route, result }));
  }

  count({ masked, cache, semantic }: CallRecord): void {
    if (masked !== null) for (const [type, times] of Object.entries(masked)) this.#masked.at(type).add(times);
    if (cache !== null) this.#cached.at(cache).add(1);
    if (semantic === null) return;
    this.#lookups.at(semantic.result).add(1);
    if (semantic.similarity !== null)
      (this.#similarity ??= this.#all.similarity.of(this.#labels)).observe(semantic.similarity);
  }
}

/** Registers the metrics of calls. The returned function counts one call. */
export function callMetrics(registry: Registry): (call: CallRecord) => void {
  const all = familiesOf(registry);
  const models = new GrowingMap(
    (provider: string) => new GrowingMap((model: string) => new ModelSeries(all, provider, model)),
  );
  const routes = new GrowingMap((route: string) => new RouteSeries(all, route, models));
  const refusals = new GrowingMap((reason: string) => all.unauthorized.of({ reason }));
  const failovers = new GrowingMap((from: string) => new GrowingMap((to: string) => all.failover.of({ from, to })));

  const countAttempts = (call: CallRecord): void => {
    let previous: string | null = null;
    for (const { provider, model, outcome, cause, implausible } of call.attempts) {
      const series = models.at(provider).at(model);
      if (implausible) series.implausible();
      (cause === undefined ? series.outcomes.at(outcome) : series.causes.at(outcome).at(cause)).add(1);
      if (previous !== null && previous !== provider) failovers.at(previous).at(provider).add(1);
      previous = provider;
    }
  };

  return (call) => {
    const route = routes.at(call.route);
    route.calls.at(call.provider).at(call.model).count(call);
    route.count(call);
    countAttempts(call);
    for (const charge of chargesOf(call)) models.at(charge.provider).at(call.model).charge(charge);
    if (call.code !== null && (call.status === 401 || call.status === 403)) refusals.at(call.code).add(1);
  };
}
