/**
 * Counters and histograms for metrics of every call. prom-client finds a series by a string that it builds from all labels
 * on each increment; here the caller keeps the series. The registry stays prom-client's: it asks for the values at each
 * scrape, and writes them like its own.
 */
import type { Metric, Registry } from "prom-client";
import type { ExportedTrace } from "../call/trace-context.ts";
import { type MetricNameOf, metricCatalogue } from "./catalogue.ts";
import type { MetricSpec } from "./metric-spec.ts";

export type Labels = Readonly<Record<string, string | number>>;

/** A value that was observed in a call whose trace can be looked up. */
export interface Exemplar extends ExportedTrace {
  value: number;
}

/** A value to write. `sharedLabels` follow `labels`, and are converted to text once per object. */
interface Value {
  metricName?: string;
  labels?: Labels;
  sharedLabels: Labels;
  value: number;
  exemplar?: Exemplar;
}

/** What a prom-client registry expects of a metric. */
abstract class Family<S> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricSpec["type"];
  readonly labelNames: readonly string[];
  protected readonly series: S[] = [];

  constructor(registry: Registry, name: MetricNameOf<"counter" | "histogram" | "untyped">) {
    const { type, help, labels }: MetricSpec = metricCatalogue[name];
    this.name = name;
    this.help = help;
    this.type = type;
    this.labelNames = labels;
    registry.registerMetric(this as unknown as Metric);
  }

  /** For readers of objects: each value with all its labels. */
  get() {
    const { values, ...head } = this.getForPromString();
    return {
      ...head,
      values: values.map(({ labels, sharedLabels, ...value }) => ({
        ...value,
        labels: { ...labels, ...sharedLabels },
      })),
    };
  }

  /** For the text of a scrape. */
  getForPromString() {
    return {
      name: this.name,
      help: this.help,
      type: this.type,
      values: this.series.flatMap((sery) => this.values(sery)),
      aggregator: "sum",
    };
  }

  protected abstract values(series: S): Value[];
}

export class CounterSeries {
  readonly labels: Labels;
  #value = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  get value(): number {
    return this.#value;
  }

  /** A counter never decreases and stays finite: other increments are ignored. */
  add(amount: number): void {
    if (amount > 0 && amount < Number.POSITIVE_INFINITY) this.#value += amount;
  }
}

export class CounterFamily extends Family<CounterSeries> {
  /** A new series at 0. Keep it: creating the same labels again would write them twice. */
  of(labels: Labels): CounterSeries {
    const made = new CounterSeries(labels);
    this.series.push(made);
    return made;
  }

  protected values(series: CounterSeries): Value[] {
    return [{ sharedLabels: series.labels, value: series.value }];
  }
}

export class HistogramSeries {
  readonly labels: Labels;
  /** By bound, not cumulative. Values above all bounds are only in `count`. */
  readonly buckets: number[];
  readonly bounds: readonly number[];
  #sum = 0;
  #count = 0;
  /** The newest of each bucket; the last is of the values above all bounds. */
  #exemplars: (Exemplar | undefined)[] | null = null;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.buckets = bounds.map(() => 0);
    this.bounds = bounds;
  }

  get sum(): number {
    return this.#sum;
  }

  get count(): number {
    return this.#count;
  }

  observe(value: number, trace: ExportedTrace | null = null): void {
    if (!Number.isFinite(value)) return;
    this.#sum += value;
    this.#count++;
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    if (bucket < bounds.length) this.buckets[bucket] = (this.buckets[bucket] as number) + 1;
    if (trace !== null) this.#keep(bucket, value, trace);
  }

  exemplarOf(bucket: number): Exemplar | undefined {
    return this.#exemplars?.[bucket];
  }

  /** Written over the bucket's last one, so that traced calls leave no garbage. */
  #keep(bucket: number, value: number, { traceId, endMs }: ExportedTrace): void {
    this.#exemplars ??= Array.from({ length: this.bounds.length + 1 });
    const kept = this.#exemplars[bucket];
    if (kept === undefined) {
      this.#exemplars[bucket] = { traceId, endMs, value };
      return;
    }
    kept.traceId = traceId;
    kept.endMs = endMs;
    kept.value = value;
  }
}

export class HistogramFamily extends Family<HistogramSeries> {
  readonly #bounds: readonly number[];

  /** `bounds`: ascending. */
  constructor(registry: Registry, name: MetricNameOf<"histogram">, bounds: readonly number[]) {
    super(registry, name);
    this.#bounds = bounds;
  }

  /** A new, empty series. Keep it: creating the same labels again would write them twice. */
  of(labels: Labels): HistogramSeries {
    const made = new HistogramSeries(labels, this.#bounds);
    this.series.push(made);
    return made;
  }

  protected values(series: HistogramSeries): Value[] {
    const { labels, buckets, sum, count } = series;
    let below = 0;
    const bucket = (le: number | string, value: number, index: number): Value => {
      const exemplar = series.exemplarOf(index);
      return {
        metricName: `${this.name}_bucket`,
        labels: { le },
        sharedLabels: labels,
        value,
        ...(exemplar === undefined ? {} : { exemplar }),
      };
    };
    return [
      ...this.#bounds.map((bound, index) => bucket(bound, (below += buckets[index] ?? 0), index)),
      bucket("+Inf", count, this.#bounds.length),
      { metricName: `${this.name}_sum`, sharedLabels: labels, value: sum },
      { metricName: `${this.name}_count`, sharedLabels: labels, value: count },
    ];
  }
}
