/**
 * OTLP's Protobuf form, as strings whose characters are bytes: they are concatenated like JSON, and nothing is built
 * before it is written. Numbers of fields are those of opentelemetry-proto 1.x.
 */
import { Buffer } from "node:buffer";
import { CounterSeries } from "../metrics/series.ts";
import { fixed64Field, lengthy, numberField, tag, textField, varint } from "../wire/protobuf.ts";
import {
  type Attributes,
  type AttributeValue,
  aboveBounds,
  cumulative,
  epochNano,
  exemplarsOf,
  isShown,
  isWhole,
  type MetricPoint,
  type OtlpEncoding,
  type OtlpFrame,
  resourceAttributes,
  scopeName,
  spanKinds,
  wallTime,
} from "./otlp.ts";

const scratch = Buffer.alloc(8);

const hex = (field: number, value: string): string => lengthy(field, Buffer.from(value, "hex").toString("latin1"));

function fixedBytes(value: bigint): string {
  scratch.writeBigUInt64LE(value);
  return scratch.toString("latin1");
}

function doubleBytes(value: number): string {
  scratch.writeDoubleLE(value);
  return scratch.toString("latin1");
}

/** An int64 as a varint: in two's complement where it is negative. */
function integer(field: number, value: number): string {
  if (value >= 0) return numberField(field, value);
  let bytes = "";
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 0x7fn; rest >>= 7n) bytes += String.fromCharCode(Number(rest & 0x7fn) | 0x80);
  return tag(field, 0) + bytes + String.fromCharCode(Number(rest));
}

function time(field: number, performanceMs: number): string {
  const { wholeMs, restNano } = wallTime(performanceMs);
  return tag(field, 1) + fixedBytes(BigInt(wholeMs) * 1_000_000n + BigInt(restNano));
}

/** AnyValue */
function anyValue(value: AttributeValue): string {
  switch (typeof value) {
    case "string":
      return textField(1, value);
    case "boolean":
      return numberField(2, value ? 1 : 0);
    case "number":
      return isWhole(value) ? integer(3, value) : tag(4, 1) + doubleBytes(value);
    default:
      return lengthy(5, value.map((item) => lengthy(1, anyValue(item))).join(""));
  }
}

const keyValue = (field: number, name: string, value: AttributeValue | null | undefined): string =>
  isShown(value) ? lengthy(field, textField(1, name) + lengthy(2, anyValue(value))) : "";

function keyValues(field: number, attributes: Attributes): string {
  let bytes = "";
  for (const name in attributes) bytes += keyValue(field, name, attributes[name]);
  return bytes;
}

const packed = (field: number, values: readonly number[], bytes: (value: number) => string): string =>
  lengthy(field, values.map(bytes).join(""));
const counted = (value: number): string => fixedBytes(BigInt(value));

/** NumberDataPoint or HistogramDataPoint */
function point({ attributes, series }: MetricPoint, nowMs: number): string {
  const times = time(2, 0) + time(3, nowMs);
  if (series instanceof CounterSeries)
    return times + tag(6, 1) + counted(Math.round(series.value)) + keyValues(7, attributes);
  const counts = packed(6, [...series.buckets, aboveBounds(series)], counted);
  const figures = tag(4, 1) + counted(series.count) + tag(5, 1) + doubleBytes(series.sum);
  const exemplars = exemplarsOf(series).map(({ traceId, endMs, value }) =>
    lengthy(8, fixed64Field(2, epochNano(endMs)) + tag(3, 1) + doubleBytes(value) + hex(5, traceId)),
  );
  const bounds = packed(7, series.bounds, doubleBytes);
  return times + figures + counts + bounds + exemplars.join("") + keyValues(9, attributes);
}

/** ExportTraceServiceRequest and ExportMetricsServiceRequest have the same outer fields. */
function frame(): OtlpFrame {
  const resource = lengthy(1, keyValues(1, resourceAttributes));
  const scope = lengthy(1, textField(1, scopeName));
  return {
    before(bytes) {
      const scoped = tag(2, 2) + varint(scope.length + bytes) + scope;
      return tag(1, 2) + varint(resource.length + scoped.length + bytes) + resource + scoped;
    },
    after: "",
  };
}

const attributeField = 9;

export const otlpProtobuf: OtlpEncoding = {
  contentType: "application/x-protobuf",
  charset: "latin1",
  separator: "",
  traces: frame(),
  metrics: frame(),
  attribute: (name, value) => keyValue(attributeField, name, value),
  span({ traceId, spanId, parentId, tracestate, name, kind, fromMs, toMs, attributes, error }) {
    const ids =
      hex(1, traceId) +
      hex(2, spanId) +
      (tracestate === null ? "" : textField(3, tracestate)) +
      (parentId === null ? "" : hex(4, parentId));
    const status = error === null ? "" : lengthy(15, textField(2, error) + numberField(3, 2));
    const head = ids + textField(5, name) + numberField(6, spanKinds[kind]) + time(7, fromMs) + time(8, toMs);
    return lengthy(2, head + attributes + status);
  },
  metric({ name, unit, points }, nowMs) {
    const monotonic = points[0]?.series instanceof CounterSeries;
    const data =
      points.map((metricPoint) => lengthy(1, point(metricPoint, nowMs))).join("") + numberField(2, cumulative);
    const kind = monotonic ? lengthy(7, data + numberField(3, 1)) : lengthy(9, data);
    return lengthy(2, textField(1, name) + textField(3, unit) + kind);
  },
};
