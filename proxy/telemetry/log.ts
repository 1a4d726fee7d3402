/** Structured logs: one JSON line an event. Fields that a client can fill are cut short and freed of control characters. */
import { Buffer } from "node:buffer";
import { type Logger, pino } from "pino";
import type { CallRecord } from "./record.ts";

export type { Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** A line waits at most this long, in milliseconds. */
const flushMs = 200;
const chunkBytes = 65_536;
/** What may wait for a reader that doesn't keep up; beyond that lines are dropped, for logging never blocks a call. */
const maxWaitingBytes = 16_777_216;

/**
 * Gathers lines as bytes. Strings held until they are written would outlive two garbage collections, and cost more
 * than making them.
 */
class Lines {
  readonly #out: { write(chunk: Buffer): unknown };
  #chunk = Buffer.allocUnsafeSlow(chunkBytes);
  #used = 0;

  constructor(out: { write(chunk: Buffer): unknown }) {
    this.#out = out;
  }

  write(line: string): void {
    if (line.length * 3 > chunkBytes - this.#used) this.flush();
    if (line.length * 3 > chunkBytes) this.#out.write(Buffer.from(line));
    else this.#used += this.#chunk.write(line, this.#used);
  }

  flush(): void {
    if (this.#used === 0) return;
    const full = this.#chunk.subarray(0, this.#used);
    this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
    this.#used = 0;
    this.#out.write(full);
  }
}

export function createLogger(level: string, name: string): Logger {
  const out = pino.destination({ fd: 1, sync: false, contentMode: "buffer", maxLength: maxWaitingBytes });
  const lines = new Lines(out as unknown as { write(chunk: Buffer): unknown });
  setInterval(() => lines.flush(), flushMs).unref();
  process.once("exit", () => {
    lines.flush();
    out.flushSync();
  });
  const options = { level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  return pino(options, lines);
}

/** Printable ASCII without quote and backslash needs no escaping. */
const plain = /^[ !#-[\]-~]*$/;

/** At most 1 KiB, without characters that could pass for another line or steer a terminal. */
export function clean(text: string): string {
  if (text.length <= 1024 && plain.test(text)) return text;
  const short = text.length > 1024 ? `${text.slice(0, 1023)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}

const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text));

function cacheFields({ cache, semantic }: CallRecord): string {
  if (cache === null) return "";
  if (semantic === null) return `,"cache":"${cache}"`;
  const similarity = semantic.similarity === null ? "" : `,"similarity":${semantic.similarity.toFixed(4)}`;
  return `,"cache":"${cache}","semantic":"${semantic.result}"${similarity}`;
}

/** The fields of a call as JSON members, each behind a comma. Put together by hand: it is done for every call, and a serialiser costs ten times as much. */
export function callFields(call: CallRecord): string {
  const usage = call.usage;
  let line = `,"request_id":${quoted(clean(call.requestId))},"address":"${call.address}","operation":${quoted(call.operation)},"route":${quoted(call.route)},"model":${quoted(call.model)}`;
  line += `,"provider":${quoted(call.provider)}`;
  if (call.region !== "") line += `,"region":${quoted(call.region)}`;
  line += `,"upstream_model":${quoted(call.upstreamModel)},"key":${quoted(call.key)},"user":${quoted(call.user)},"team":${quoted(call.team)},"status":${call.status}`;
  if (call.code !== null) line += `,"code":"${call.code}"`;
  if (call.cause !== null) line += `,"cause":${quoted(clean(call.cause))}`;
  line += `,"stream":${call.stream}`;
  if (call.broken) line += ',"outcome":"stream_error"';
  if (call.abandoned) line += ',"outcome":"client_closed"';
  line += `,"duration_ms":${Math.round(call.durationMs)}`;
  if (call.firstByteMs !== null) line += `,"first_token_ms":${Math.round(call.firstByteMs)}`;
  if (usage !== null) {
    line += `,"input_tokens":${usage.prompt},"cached_tokens":${usage.cachedPrompt},"output_tokens":${usage.completion},"estimated":${usage.estimated}`;
  }
  if (call.masked !== null) line += `,"masked":${JSON.stringify(call.masked)}`;
  line += cacheFields(call);
  if (call.costNanoUsd !== null) line += `,"cost_nano_usd":${call.costNanoUsd}`;
  if (call.attempts.length > 1) line += `,"attempts":${JSON.stringify(call.attempts)}`;
  if (call.dropped.length > 0) line += `,"dropped_params":${JSON.stringify(call.dropped)}`;
  if (call.payloads !== null) line += `,"request_body":${quoted(call.payloads.request)},"response_body":${quoted(call.payloads.response)}`;
  return line;
}

const { chindingsSym, streamSym } = pino.symbols;

/** One line a call, in the logger's own form. Bodies are in it only where the route's `logging.payloads` asks for them. */
export function logCall(log: Logger, call: CallRecord): void {
  if (!log.isLevelEnabled("info")) return;
  const inner = log as unknown as Record<symbol, unknown>;
  const out = inner[streamSym] as { write(line: string): void };
  out.write(`{"level":"info","time":"${isoTime(call.startedMs + call.durationMs)}"${String(inner[chindingsSym])}${callFields(call)},"msg":"call"}\n`);
}

let second = 0;
let secondText = "";

/** ISO 8601 in milliseconds. Calls of one second share its text. */
function isoTime(ms: number): string {
  const whole = Math.floor(ms);
  const rest = whole % 1000;
  if (whole - rest !== second) {
    second = whole - rest;
    secondText = new Date(second).toISOString().slice(0, 20);
  }
  return `${secondText}${rest < 10 ? "00" : rest < 100 ? "0" : ""}${rest}Z`;
}
