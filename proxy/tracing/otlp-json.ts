/** OTLP's JSON form, written directly as text. */
import { CounterSeries } from "../metrics/series.ts";
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

/** Texts that need no escapes are most; JSON.stringify would look at every character again. */
const plain = /^[\w .:/@+,=()[\]{}*;!?%-]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

/** After a comma. Names need no escapes. */
const attribute = (name: string, value: AttributeValue | null | undefined): string =>
  isShown(value) ? `,{"key":"${name}","value":${valueText(value)}}` : "";

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
  for (const name in attributes) text += attribute(name, attributes[name]);
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
  attribute,
  span({ traceId, spanId, parentId, tracestate, name, kind, fromMs, toMs, attributes, error }) {
    const parent = parentId === null ? "" : `,"parentSpanId":"${parentId}"`;
    const state = tracestate === null ? "" : `,"traceState":${quoted(tracestate)}`;
    const status = error === null ? "" : `,"status":{"code":2,"message":${quoted(error)}}`;
    return `{"traceId":"${traceId}","spanId":"${spanId}"${parent}${state},"name":${quoted(name)},"kind":${spanKinds[kind]},"startTimeUnixNano":"${unixNano(fromMs)}","endTimeUnixNano":"${unixNano(toMs)}","attributes":[${attributes.slice(1)}]${status}}`;
  },
  metric({ name, unit, points }, nowMs) {
    const nowNano = unixNano(nowMs);
    const monotonic = points[0]?.series instanceof CounterSeries;
    const data = `{"dataPoints":[${points.map((point) => pointText(point, nowNano)).join(",")}],"aggregationTemporality":${cumulative}${monotonic ? ',"isMonotonic":true' : ""}}`;
    return `{"name":"${name}","unit":"${unit}","${monotonic ? "sum" : "histogram"}":${data}}`;
  },
};
