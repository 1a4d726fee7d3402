/** Spans in OTLP's JSON form (opentelemetry-proto, trace/v1), written directly as text. */

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
  attributes: Attributes;
  /** Message of the failure; null if there was none. */
  error: string | null;
}

/** Texts that need no escapes are most; JSON.stringify would look at every character again. */
const plain = /^[\w .:/@+,=()[\]{}*;!?%-]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

function valueText(value: AttributeValue): string {
  switch (typeof value) {
    case "string":
      return `{"stringValue":${quoted(value)}}`;
    case "boolean":
      return `{"boolValue":${value}}`;
    case "number":
      return Number.isInteger(value) ? `{"intValue":"${value}"}` : `{"doubleValue":${value}}`;
    default:
      return `{"arrayValue":{"values":[${value.map(valueText).join(",")}]}}`;
  }
}

/** Attributes without a value, and empty texts, are left out. */
export function attributesText(attributes: Attributes): string {
  let text = "";
  for (const name in attributes) {
    const value = attributes[name];
    if (value === null || value === undefined || value === "") continue;
    text += `${text === "" ? "" : ","}{"key":"${name}","value":${valueText(value)}}`;
  }
  return `[${text}]`;
}

/** A double can't hold nanoseconds since 1970, so that the milliseconds' fraction is written apart. */
export function unixNano(performanceMs: number): string {
  const ms = performance.timeOrigin + performanceMs;
  const whole = Math.floor(ms);
  return `${whole}${String(Math.floor((ms - whole) * 1e6)).padStart(6, "0")}`;
}

export function spanText(span: SpanText): string {
  const { traceId, spanId, parentId, tracestate, name, kind, fromMs, toMs, attributes, error } = span;
  const parent = parentId === null ? "" : `,"parentSpanId":"${parentId}"`;
  const state = tracestate === null ? "" : `,"traceState":${quoted(tracestate)}`;
  const status = error === null ? "" : `,"status":{"code":2,"message":${quoted(error)}}`;
  return `{"traceId":"${traceId}","spanId":"${spanId}"${parent}${state},"name":${quoted(name)},"kind":${spanKinds[kind]},"startTimeUnixNano":"${unixNano(fromMs)}","endTimeUnixNano":"${unixNano(toMs)}","attributes":${attributesText(attributes)}${status}}`;
}
