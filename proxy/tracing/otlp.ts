/** What is exported by OTLP (opentelemetry-proto), and the two forms in which it is written: JSON and Protobuf. */
import type { CounterSeries, Exemplar, HistogramSeries } from "../metrics/series.ts";

export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue | null | undefined>>;

export const spanKinds = { internal: 1, server: 2, client: 3 } as const;

export interface SpanText {
  traceId: string;
  spanId: string;
  parentId: string | null;
  tracestate: string | null;
  name: string;
  kind: keyof typeof spanKinds;
  /** `performance.now()`. */
  fromMs: number;
  toMs: number;
  /** As `attribute` writes them, one after another. */
  attributes: string;
  /** Message of the failure; null if there was none. */
  error: string | null;
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
 * Writes parts of a request as strings that are concatenated to whole ones. In Protobuf, each character of a string is
 * one byte.
 */
export interface OtlpEncoding {
  contentType: string;
  charset: "utf8" | "latin1";
  /** Between two spans or metrics. */
  separator: string;
  traces: OtlpFrame;
  metrics: OtlpFrame;
  /** An attribute of a span; "" without a value and for an empty text. */
  attribute(name: string, value: AttributeValue | null | undefined): string;
  span(span: SpanText): string;
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
