/**
 * Metrics of OpenTelemetry's GenAI conventions (semantic-conventions-genai 0.1.0), for export by OTLP: each attempt at a
 * provider is an operation of a client. On request with the names of version 1.41 as well, which many backends read.
 */
import type { CallTrace } from "../call/call-trace.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import { CounterSeries, HistogramSeries } from "../metrics/series.ts";
import type { Attributes, OtlpEncoding } from "./otlp.ts";
import { operationNameOf } from "./spans.ts";

const secondsBounds = Array.from({ length: 14 }, (_, index) => 0.01 * 2 ** index);
const tokenBounds = Array.from({ length: 14 }, (_, index) => 4 ** index);

interface Point<S> {
  attributes: Attributes;
  series: S;
}

/** One metric: its points by their attributes. */
class OtlpMetric<S extends CounterSeries | HistogramSeries> {
  readonly name: string;
  readonly unit: string;
  readonly points: Point<S>[] = [];
  readonly #known = new Map<string, S>();
  readonly #make: () => S;

  constructor(name: string, unit: string, make: () => S) {
    this.name = name;
    this.unit = unit;
    this.#make = make;
  }

  of(attributes: Attributes): S {
    const key = Object.values(attributes).join("\n");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const series = this.#make();
    this.#known.set(key, series);
    this.points.push({ attributes, series });
    return series;
  }
}

const counter = (name: string): OtlpMetric<CounterSeries> =>
  new OtlpMetric(name, "{token}", () => new CounterSeries({}));
const histogram = (name: string, unit: string, bounds: readonly number[]): OtlpMetric<HistogramSeries> =>
  new OtlpMetric(name, unit, () => new HistogramSeries({}, bounds));

const metricsOf = () => ({
  duration: histogram("gen_ai.client.inference.duration", "s", secondsBounds),
  firstChunk: histogram("gen_ai.client.inference.time_to_first_chunk", "s", secondsBounds),
  input: counter("gen_ai.client.inference.usage.input_tokens"),
  output: counter("gen_ai.client.inference.usage.output_tokens"),
  cacheRead: counter("gen_ai.client.inference.usage.cache_read.input_tokens"),
  cacheWrite: counter("gen_ai.client.inference.usage.cache_write.input_tokens"),
  reasoning: counter("gen_ai.client.inference.usage.reasoning.output_tokens"),
  inputSize: histogram("gen_ai.client.inference.operation.input_tokens", "{token}", tokenBounds),
  outputSize: histogram("gen_ai.client.inference.operation.output_tokens", "{token}", tokenBounds),
  /** Of other operations; before, of all. */
  operation: histogram("gen_ai.client.operation.duration", "s", secondsBounds),
  tokenUsage: histogram("gen_ai.client.token.usage", "{token}", tokenBounds),
});

/** Names of inference; the others are operations of another kind. */
const inferences: ReadonlySet<string> = new Set(["chat", "text_completion"]);

export class GenAiMetrics {
  readonly #all = metricsOf();
  readonly #older: boolean;

  /** `older`: whether the names of version 1.41 are exported as well. */
  constructor(older: boolean) {
    this.#older = older;
  }

  record(call: CallRecord): void {
    const { trace } = call;
    if (trace === null) return;
    for (const [index, attempt] of call.attempts.entries()) this.#attempt(call, trace, attempt, index);
  }

  #attempt(call: CallRecord, trace: CallTrace, attempt: AttemptRecord, index: number): void {
    const peer = trace.attempts[index]?.peer;
    if (peer === undefined) return;
    const operation = operationNameOf(call.operation);
    const attributes = {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": peer.provider,
      "gen_ai.request.model": peer.model,
    };
    const outcome = attempt.outcome === "ok" ? attributes : { ...attributes, "error.type": attempt.outcome };
    const seconds = attempt.durationMs / 1000;
    const inference = inferences.has(operation);
    if (inference) this.#all.duration.of(outcome).observe(seconds, call.exported);
    if (!inference || this.#older) this.#all.operation.of(outcome).observe(seconds, call.exported);
    const answered = attempt.outcome === "ok" && index === call.attempts.length - 1;
    if (answered && call.stream && call.firstByteMs !== null)
      this.#all.firstChunk.of(attributes).observe(call.firstByteMs / 1000, call.exported);
    if (attempt.usage !== undefined) this.#usage(attributes, attempt.usage, inference, call.exported);
  }

  #usage(
    attributes: Attributes,
    usage: NonNullable<AttemptRecord["usage"]>,
    inference: boolean,
    trace: CallRecord["exported"],
  ): void {
    const { prompt, completion, cachedPrompt, cacheWrite, reasoning } = usage;
    if (inference) {
      // Providers don't report modalities in one way.
      const counted = { ...attributes, "gen_ai.token.modality": "unknown" };
      this.#all.input.of(counted).add(prompt);
      this.#all.output.of(counted).add(completion);
      if (cachedPrompt > 0) this.#all.cacheRead.of(counted).add(cachedPrompt);
      if (cacheWrite > 0) this.#all.cacheWrite.of(counted).add(cacheWrite);
      if (reasoning > 0) this.#all.reasoning.of(counted).add(reasoning);
      this.#all.inputSize.of(attributes).observe(prompt, trace);
      this.#all.outputSize.of(attributes).observe(completion, trace);
    }
    if (inference && !this.#older) return;
    this.#all.tokenUsage.of({ ...attributes, "gen_ai.token.type": "input" }).observe(prompt, trace);
    if (completion > 0)
      this.#all.tokenUsage.of({ ...attributes, "gen_ai.token.type": "output" }).observe(completion, trace);
  }

  /** As the encoding writes them, one after another; "" if there are none yet. */
  text({ metric, separator }: OtlpEncoding): string {
    const nowMs = performance.now();
    return Object.values(this.#all)
      .filter(({ points }) => points.length > 0)
      .map((series: OtlpMetric<CounterSeries | HistogramSeries>) => metric(series, nowMs))
      .join(separator);
  }
}
