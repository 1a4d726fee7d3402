/** OTLP's JSON form, written directly as text. */
import { Buffer } from "node:buffer";
import { CounterSeries } from "../metrics/series.ts";
import type { TextBytes } from "../wire/text-bytes.ts";
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

/** Texts that need no escapes are most; JSON.stringify would look at every character again. */
const plain = /^[\w .:/@+,=()[\]{}*;!?%-]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

const openBracket = 0x5b;
const comma = 0x2c;
const closingBrace = 0x7d;

/** What spans are made of. */
const piece = {
  traceId: Buffer.from('{"traceId":"'),
  spanId: Buffer.from('","spanId":"'),
  named: Buffer.from('",'),
  parentId: Buffer.from('"parentSpanId":"'),
  tracestate: Buffer.from('"traceState":'),
  fromTime: Buffer.from(',"startTimeUnixNano":"'),
  toTime: Buffer.from('","endTimeUnixNano":"'),
  attributes: Buffer.from('","attributes":['),
  wholeEnds: Buffer.from('"}}'),
  doubleEnds: Buffer.from("}}"),
};

/** Before all members of a list but the first. What is written by itself begins without one. */
function separate(out: TextBytes): void {
  if (out.length > 0 && out.last !== openBracket) out.byte(comma);
}

class JsonAttribute implements SpanAttribute {
  readonly #key: Buffer;
  readonly #beforeWhole: Buffer;
  readonly #beforeDouble: Buffer;

  constructor(name: string) {
    // Names need no escapes.
    const key = `{"key":"${name}","value":`;
    this.#key = Buffer.from(key);
    this.#beforeWhole = Buffer.from(`${key}{"intValue":"`);
    this.#beforeDouble = Buffer.from(`${key}{"doubleValue":`);
  }

  add(out: TextBytes, value: AttributeValue | null | undefined): void {
    if (!isShown(value)) return;
    separate(out);
    if (typeof value !== "number") out.raw(this.#key).utf8(valueText(value)).byte(closingBrace);
    else if (isWhole(value)) out.raw(this.#beforeWhole).number(value).raw(piece.wholeEnds);
    else out.raw(this.#beforeDouble).latin1(String(value)).raw(piece.doubleEnds);
  }
}

function valueText(value: AttributeValue): string {
  switch (typeof value) {
    case "string":
      return `{"stringValue":${quoted(value)}}`;
    case "boolean":
      return `{"boolValue":${value}}`;
    case "number":
      return isWhole(value) ? `{"intValue":"${value}"}` : `{"doubleValue":${value}}`;
    default:
      return `{"arrayValue":{"values":[${value.map(valueText).join(",")}]}}`;
  }
}

function attributesText(attributes: Attributes): string {
  let text = "";
  for (const name in attributes) {
    const value = attributes[name];
    if (isShown(value)) text += `,{"key":"${name}","value":${valueText(value)}}`;
  }
  return `[${text.slice(1)}]`;
}

function unixNano(performanceMs: number): string {
  const { wholeMs, restNano } = wallTime(performanceMs);
  // A leading 1 keeps the fraction's zeros.
  return wholeMs + String(restNano + 1_000_000).slice(1);
}

const startNano = unixNano(0);

function pointText({ attributes, series }: MetricPoint, nowNano: string): string {
  const head = `{"attributes":${attributesText(attributes)},"startTimeUnixNano":"${startNano}","timeUnixNano":"${nowNano}"`;
  if (series instanceof CounterSeries) return `${head},"asInt":"${Math.round(series.value)}"}`;
  const counts = [...series.buckets, aboveBounds(series)].map((count) => `"${count}"`);
  const exemplars = exemplarsOf(series).map(
    ({ traceId, endMs, value }) => `{"timeUnixNano":"${epochNano(endMs)}","asDouble":${value},"traceId":"${traceId}"}`,
  );
  const traced = exemplars.length === 0 ? "" : `,"exemplars":[${exemplars.join(",")}]`;
  return `${head},"count":"${series.count}","sum":${series.sum},"bucketCounts":[${counts.join(",")}],"explicitBounds":[${series.bounds.join(",")}]${traced}}`;
}

function frame(signal: "Spans" | "Metrics"): OtlpFrame {
  const resource = `{"attributes":${attributesText(resourceAttributes)}}`;
  const list = signal.toLowerCase();
  const before = `{"resource${signal}":[{"resource":${resource},"scope${signal}":[{"scope":{"name":"${scopeName}"},"${list}":[`;
  return { before: () => before, after: "]}]}]}" };
}

export const otlpJson: OtlpEncoding = {
  contentType: "application/json",
  charset: "utf8",
  separator: ",",
  traces: frame("Spans"),
  metrics: frame("Metrics"),
  attribute: (name) => new JsonAttribute(name),
  spanName: (name, kind) => Buffer.from(`"name":${quoted(name)},"kind":${spanKinds[kind]}`),
  beginSpan(out, { traceId, spanId, parentId, tracestate, named, fromMs, toMs }) {
    out.raw(piece.traceId).latin1(traceId).raw(piece.spanId).latin1(spanId).raw(piece.named);
    if (parentId !== null) out.raw(piece.parentId).latin1(parentId).raw(piece.named);
    if (tracestate !== null) out.raw(piece.tracestate).utf8(quoted(tracestate)).byte(comma);
    out.raw(named).raw(piece.fromTime).latin1(unixNano(fromMs)).raw(piece.toTime).latin1(unixNano(toMs));
    out.raw(piece.attributes);
  },
  addAttributes(out, written) {
    if (written.length === 0) return;
    separate(out);
    out.raw(written);
  },
  endSpan(out, error) {
    out.latin1("]");
    if (error !== null) out.latin1(',"status":{"code":2,"message":').utf8(quoted(error)).latin1("}");
    out.latin1("}");
  },
  beforeSpan: (_bytes, isFirst) => (isFirst ? "" : ","),
  metric({ name, unit, points }, nowMs) {
    const nowNano = unixNano(nowMs);
    const monotonic = points[0]?.series instanceof CounterSeries;
    const data = `{"dataPoints":[${points.map((point) => pointText(point, nowNano)).join(",")}],"aggregationTemporality":${cumulative}${monotonic ? ',"isMonotonic":true' : ""}}`;
    return `{"name":"${name}","unit":"${unit}","${monotonic ? "sum" : "histogram"}":${data}}`;
  },
};
