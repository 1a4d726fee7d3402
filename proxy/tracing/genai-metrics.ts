/**
 * Metrics of OpenTelemetry's GenAI conventions (semantic-conventions-genai 0.1.0), for export by OTLP: each attempt at a
 * provider is an operation of a client. On request with the names of version 1.41 as well, which many backends read.
 */
import type { AttemptPeer } from "../call/call-trace.ts";
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
    const cached = this.#known.get(key);
    if (cached !== undefined) return cached;
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
/** Providers don't report modalities in one way. */
const noModality: Attributes = { "gen_ai.token.modality": "unknown" };

/** Series of inferences at one target that were answered, once the first was. */
class PeerSeries {
  readonly operation: string;
  readonly attributes: Attributes;
  duration: HistogramSeries | null = null;
  use: UseSeries | null = null;

  constructor(operation: string, { provider, model }: AttemptPeer) {
    this.operation = operation;
    this.attributes = {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": provider,
      "gen_ai.request.model": model,
    };
  }
}

interface UseSeries {
  input: CounterSeries;
  output: CounterSeries;
  inputSize: HistogramSeries;
  outputSize: HistogramSeries;
}

type Used = NonNullable<AttemptRecord["usage"]>;

export class GenAiMetrics {
  readonly #all = metricsOf();
  readonly #older: boolean;
  /** By targets, which a snapshot keeps. Finding series by their attributes would take most of the time. */
  readonly #peers = new WeakMap<AttemptPeer, PeerSeries>();

  /** `older`: whether the names of version 1.41 are exported as well. */
  constructor(older: boolean) {
    this.#older = older;
  }

  record(call: CallRecord): void {
    const { trace, attempts } = call;
    if (trace === null) return;
    for (let index = 0; index < attempts.length; index++) {
      const peer = trace.attempts[index]?.peer;
      if (peer !== undefined) this.#attempt(call, this.#seriesOf(peer, call.operation), index);
    }
  }

  #seriesOf(peer: AttemptPeer, of: string): PeerSeries {
    const operation = operationNameOf(of);
    const before = this.#peers.get(peer);
    if (before?.operation === operation) return before;
    const made = new PeerSeries(operation, peer);
    this.#peers.set(peer, made);
    return made;
  }

  #attempt(call: CallRecord, series: PeerSeries, index: number): void {
    const attempt = call.attempts[index] as AttemptRecord;
    const { attributes, operation } = series;
    const { duration, operation: others, firstChunk } = this.#all;
    const answered = attempt.outcome === "ok";
    const outcome = answered ? attributes : { ...attributes, "error.type": attempt.outcome };
    const seconds = attempt.durationMs / 1000;
    const inference = inferences.has(operation);
    if (inference && answered) (series.duration ??= duration.of(outcome)).observe(seconds, call.exported);
    else if (inference) duration.of(outcome).observe(seconds, call.exported);
    if (!inference || this.#older) others.of(outcome).observe(seconds, call.exported);
    if (answered && index === call.attempts.length - 1 && call.stream && call.firstByteMs !== null)
      firstChunk.of(attributes).observe(call.firstByteMs / 1000, call.exported);
    if (attempt.usage === undefined) return;
    if (inference) this.#usage(series, attempt.usage, call.exported);
    if (!inference || this.#older) this.#usageAsBefore(attributes, attempt.usage, call.exported);
  }

  #usage(series: PeerSeries, used: Used, trace: CallRecord["exported"]): void {
    const { input, output, inputSize, outputSize } = (series.use ??= this.#useOf(series.attributes));
    const { prompt, completion, cachedPrompt, cacheWrite, reasoning } = used;
    input.add(prompt);
    output.add(completion);
    inputSize.observe(prompt, trace);
    outputSize.observe(completion, trace);
    if (cachedPrompt + cacheWrite + reasoning === 0) return;
    const counted = { ...series.attributes, ...noModality };
    if (cachedPrompt > 0) this.#all.cacheRead.of(counted).add(cachedPrompt);
    if (cacheWrite > 0) this.#all.cacheWrite.of(counted).add(cacheWrite);
    if (reasoning > 0) this.#all.reasoning.of(counted).add(reasoning);
  }

  #useOf(attributes: Attributes): UseSeries {
    const { input, output, inputSize, outputSize } = this.#all;
    const counted = { ...attributes, ...noModality };
    return {
      input: input.of(counted),
      output: output.of(counted),
      inputSize: inputSize.of(attributes),
      outputSize: outputSize.of(attributes),
    };
  }

  #usageAsBefore(attributes: Attributes, { prompt, completion }: Used, trace: CallRecord["exported"]): void {
    const { tokenUsage } = this.#all;
    tokenUsage.of({ ...attributes, "gen_ai.token.type": "input" }).observe(prompt, trace);
    if (completion > 0) tokenUsage.of({ ...attributes, "gen_ai.token.type": "output" }).observe(completion, trace);
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
