/** What is exported by OTLP (opentelemetry-proto), and the two forms in which it is written: JSON and Protobuf. */
import type { CounterSeries, Exemplar, HistogramSeries } from "../metrics/series.ts";
import type { TextBytes } from "../wire/text-bytes.ts";

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue | null | undefined>>;

export const spanKinds = { internal: 1, server: 2, client: 3 } as const;

export interface SpanHead {
  /** Hexadecimal, as are all ids. */
  traceId: string;
  spanId: string;
  parentId: string | null;
  tracestate: string | null;
  /** Name and kind, as `spanName` gives them. */
  named: Uint8Array;
  /** `performance.now()`. */
  fromMs: number;
  toMs: number;
}

/** Writes an attribute of spans, whose name is encoded once. */
export interface SpanAttribute {
  /** Adds nothing without a value and for an empty text. */
  add(out: TextBytes, value: AttributeValue | null | undefined): void;
}

export interface MetricPoint {
  attributes: Attributes;
  series: CounterSeries | HistogramSeries;
}

export interface MetricText {
  name: string;
  unit: string;
  points: readonly MetricPoint[];
}

export interface OtlpFrame {
  /** `bytes`: of what is enclosed. */
  before(bytes: number): string;
  after: string;
}

/**
 * Writes spans as bytes, in place, and metrics as strings that are concatenated to a whole request. In Protobuf, each
 * character of a string is one byte.
 */
export interface OtlpEncoding {
  contentType: string;
  charset: "utf8" | "latin1";
  /** Between two metrics. */
  separator: string;
  traces: OtlpFrame;
  metrics: OtlpFrame;
  attribute(name: string): SpanAttribute;
  spanName(name: string, kind: keyof typeof spanKinds): Uint8Array;
  /** Begins a span. Attributes follow. */
  beginSpan(out: TextBytes, head: SpanHead): void;
  /** Adds attributes that were written by themselves. */
  addAttributes(out: TextBytes, written: Uint8Array): void;
  /** `error`: message of the failure; null if there was none. */
  endSpan(out: TextBytes, error: string | null): void;
  /** What goes before a span in a request. */
  beforeSpan(bytes: number, isFirst: boolean): string;
  metric(metric: MetricText, nowMs: number): string;
}

export const resourceAttributes: Attributes = { "service.name": "sluice-proxy" };
export const scopeName = "sluice.proxy";
/** AGGREGATION_TEMPORALITY_CUMULATIVE */
export const cumulative = 2;

/** An integer that OTLP's int64 and a double both hold exactly. A number that callers choose can be any other. */
export const isWhole = (value: number): boolean => Number.isSafeInteger(value);

export const isShown = (value: AttributeValue | null | undefined): value is AttributeValue =>
  value !== null && value !== undefined && value !== "" && (typeof value !== "number" || Number.isFinite(value));

/** The newest traced observation of each bucket that has one. */
export const exemplarsOf = (series: HistogramSeries): Exemplar[] =>
  [...series.bounds, null].flatMap((_, bucket) => series.exemplarOf(bucket) ?? []);

export const epochNano = (epochMs: number): bigint => BigInt(Math.floor(epochMs)) * 1_000_000n;

/** Observations above all bounds. */
export const aboveBounds = ({ buckets, count }: HistogramSeries): number =>
  count - buckets.reduce((sum, inBucket) => sum + inBucket, 0);

/** A getter that reads the clock's origin again. */
const originMs = performance.timeOrigin;

/** A double can't hold nanoseconds since 1970, so that the milliseconds' fraction is apart. */
export function wallTime(performanceMs: number): { wholeMs: number; restNano: number } {
  const ms = originMs + performanceMs;
  const wholeMs = Math.floor(ms);
  return { wholeMs, restNano: Math.floor((ms - wholeMs) * 1e6) };
}
