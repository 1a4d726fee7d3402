/**
 * Counters and histograms for metrics of every call. prom-client finds a series by a string that it builds from all labels
 * on each increment; here the caller keeps the series. The registry stays prom-client's: it asks for the values at each
 * scrape, and writes them like its own.
 */
import type { Metric, Registry } from "prom-client";
import { type MetricNameOf, type MetricSpec, metricCatalogue } from "./catalogue.ts";

export type Labels = Readonly<Record<string, string | number>>;

/** A value to write. `sharedLabels` follow `labels`, and are converted to text once per object. */
interface Value {
  metricName?: string;
  labels?: Labels;
  sharedLabels: Labels;
  value: number;
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

  observe(value: number): void {
    if (!Number.isFinite(value)) return;
    this.#sum += value;
    this.#count++;
    const { bounds } = this;
    for (let at = 0; at < bounds.length; at++) {
      if (value > (bounds[at] as number)) continue;
      this.buckets[at] = (this.buckets[at] as number) + 1;
      return;
    }
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

  protected values({ labels, buckets, sum, count }: HistogramSeries): Value[] {
    let below = 0;
    const bucket = (le: number | string, value: number): Value => ({
      metricName: `${this.name}_bucket`,
      labels: { le },
      sharedLabels: labels,
      value,
    });
    return [
      ...this.#bounds.map((bound, index) => bucket(bound, (below += buckets[index] ?? 0))),
      bucket("+Inf", count),
      { metricName: `${this.name}_sum`, sharedLabels: labels, value: sum },
      { metricName: `${this.name}_count`, sharedLabels: labels, value: count },
    ];
  }
}
