/**
 * OTLP's Protobuf form: spans as bytes, in place, and metrics as strings whose characters are bytes, which are
 * concatenated like JSON. Numbers of fields are those of opentelemetry-proto 1.x.
 */
import { Buffer } from "node:buffer";
import { CounterSeries } from "../metrics/series.ts";
import { fixed64Field, lengthy, numberField, tag, textField, varint } from "../wire/protobuf.ts";
import { TextBytes } from "../wire/text-bytes.ts";
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
  type SpanAttribute,
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

const two16 = 0x1_0000;
const two32 = 0x1_0000_0000;

/** Adds a time as fixed64, in nanoseconds since 1970: more than a double holds, so that it is worked out in halves. */
function addTime(out: TextBytes, field: number, performanceMs: number): void {
  const { wholeMs, restNano } = wallTime(performanceMs);
  const upper = 1e6 * Math.floor(wholeMs / two16);
  const lower = (upper % two16) * two16 + 1e6 * (wholeMs % two16) + restNano;
  out.byte(field * 8 + 1).uint32(lower % two32);
  out.uint32(Math.floor(upper / two16) + Math.floor(lower / two32));
}

const timeField = new TextBytes();

function time(field: number, performanceMs: number): string {
  addTime(timeField.clear(), field, performanceMs);
  return timeField.toString("latin1");
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

/** Fields of a Span that have a length, with their wire type. */
const spanField = {
  traceId: 0x0a,
  spanId: 0x12,
  tracestate: 0x1a,
  parentId: 0x22,
  attribute: 0x4a,
} as const;

/** Number of bytes of a varint. */
function varintSize(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** Most attributes' texts are short and ASCII; to ask native code for the length of one takes a while. */
function utf8Length(text: string): number {
  if (text.length > 64) return Buffer.byteLength(text);
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0x7f) return Buffer.byteLength(text);
  return text.length;
}

class ProtobufAttribute implements SpanAttribute {
  readonly #name: string;
  /** The field for the name in KeyValue, and the tag of its value. */
  readonly #key: Buffer;
  /** All that goes before a double. */
  readonly #beforeDouble: Buffer;

  constructor(name: string) {
    this.#name = name;
    this.#key = Buffer.from(textField(1, name) + tag(2, 2), "latin1");
    const field = String.fromCharCode(spanField.attribute);
    const key = this.#key.toString("latin1");
    this.#beforeDouble = Buffer.from(`${field}${varint(key.length + 10)}${key}\x09${tag(4, 1)}`, "latin1");
  }

  add(out: TextBytes, value: AttributeValue | null | undefined): void {
    if (!isShown(value)) return;
    if (typeof value === "string") this.#text(out, value);
    else if (typeof value === "boolean") this.#number(out, 0x10, value ? 1 : 0);
    else if (typeof value === "number" && !isWhole(value)) out.raw(this.#beforeDouble).double(value);
    else if (typeof value === "number" && value >= 0) this.#number(out, 0x18, value);
    else out.latin1(keyValue(9, this.#name, value));
  }

  #text(out: TextBytes, value: string): void {
    const length = utf8Length(value);
    this.#head(out, 1 + varintSize(length) + length);
    out.byte(0x0a).varint(length).utf8(value);
  }

  #number(out: TextBytes, field: number, value: number): void {
    this.#head(out, 1 + varintSize(value));
    out.byte(field).varint(value);
  }

  /** `bytes`: of the AnyValue. */
  #head(out: TextBytes, bytes: number): void {
    out.byte(spanField.attribute).varint(this.#key.length + varintSize(bytes) + bytes);
    out.raw(this.#key).varint(bytes);
  }
}

export const otlpProtobuf: OtlpEncoding = {
  contentType: "application/x-protobuf",
  charset: "latin1",
  separator: "",
  traces: frame(),
  metrics: frame(),
  attribute: (name) => new ProtobufAttribute(name),
  spanName: (name, kind) => Buffer.from(textField(5, name) + numberField(6, spanKinds[kind]), "latin1"),
  beginSpan(out, { traceId, spanId, parentId, tracestate, named, fromMs, toMs }) {
    out.byte(spanField.traceId).byte(16).hex(traceId);
    out.byte(spanField.spanId).byte(8).hex(spanId);
    if (tracestate !== null) out.byte(spanField.tracestate).varint(Buffer.byteLength(tracestate)).utf8(tracestate);
    if (parentId !== null) out.byte(spanField.parentId).byte(8).hex(parentId);
    out.raw(named);
    addTime(out, 7, fromMs);
    addTime(out, 8, toMs);
  },
  addAttributes(out, written) {
    out.raw(written);
  },
  endSpan(out, error) {
    if (error !== null) out.latin1(lengthy(15, textField(2, error) + numberField(3, 2)));
  },
  beforeSpan: (bytes) => tag(2, 2) + varint(bytes),
  metric({ name, unit, points }, nowMs) {
    const monotonic = points[0]?.series instanceof CounterSeries;
    const data =
      points.map((metricPoint) => lengthy(1, point(metricPoint, nowMs))).join("") + numberField(2, cumulative);
    const kind = monotonic ? lengthy(7, data + numberField(3, 1)) : lengthy(9, data);
    return lengthy(2, textField(1, name) + textField(3, unit) + kind);
  },
};
