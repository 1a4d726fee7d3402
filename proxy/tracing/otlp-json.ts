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
  /** As `attributeText` writes them, one after another. */
  attributes: string;
  /** Message of the failure; null if there was none. */
  error: string | null;
}

/** Texts that need no escapes are most; JSON.stringify would look at every character again. */
const plain = /^[\w .:/@+,=()[\]{}*;!?%-]*$/;
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

/** One attribute after a comma; "" without a value and for an empty text. Names need no escapes. */
export function attributeText(name: string, value: AttributeValue | null | undefined): string {
  if (value === null || value === undefined || value === "") return "";
  return `,{"key":"${name}","value":${valueText(value)}}`;
}

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

/** A list of attributes. */
export function attributesText(attributes: Attributes): string {
  let text = "";
  for (const name in attributes) text += attributeText(name, attributes[name]);
  return `[${text.slice(1)}]`;
}

/** A getter that reads the clock's origin again. */
const originMs = performance.timeOrigin;

/** A double can't hold nanoseconds since 1970, so that the milliseconds' fraction is written apart. */
export function unixNano(performanceMs: number): string {
  const ms = originMs + performanceMs;
  const whole = Math.floor(ms);
  // A leading 1 keeps the fraction's zeros.
  return whole + String(Math.floor((ms - whole) * 1e6) + 1_000_000).slice(1);
}

export function spanText(span: SpanText): string {
  const { traceId, spanId, parentId, tracestate, name, kind, fromMs, toMs, attributes, error } = span;
  const parent = parentId === null ? "" : `,"parentSpanId":"${parentId}"`;
  const state = tracestate === null ? "" : `,"traceState":${quoted(tracestate)}`;
  const status = error === null ? "" : `,"status":{"code":2,"message":${quoted(error)}}`;
  return `{"traceId":"${traceId}","spanId":"${spanId}"${parent}${state},"name":${quoted(name)},"kind":${spanKinds[kind]},"startTimeUnixNano":"${unixNano(fromMs)}","endTimeUnixNano":"${unixNano(toMs)}","attributes":[${attributes.slice(1)}]${status}}`;
}
