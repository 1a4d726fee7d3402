/** Structured logs: one JSON line per event. Fields that a client controls are truncated and stripped of control characters. */
import { Buffer } from "node:buffer";
import { type Logger, pino } from "pino";
import type { CallRecord } from "../call/record.ts";
import { needsNoEscape, quoted, SharedFields } from "./shared-fields.ts";

export type { Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** Longest time a line waits, in milliseconds. */
const flushMs = 200;
const chunkBytes = 65_536;
/** Bytes that may wait for a slow reader. Beyond that, lines are dropped: logging never blocks a call. */
const maxWaitingBytes = 16_777_216;

/** Written chunks that are kept for reuse. */
const mostSpare = 4;

interface Out {
  write(chunk: Buffer): unknown;
  /** Resolves once everything passed to it is written. */
  on(event: "drain", then: () => void): unknown;
}

/**
 * Gathers lines as bytes. Strings held until they are written would outlive two garbage collections, which costs more than
 * creating them. Chunks are reused, because the kernel provides new memory page by page.
 */
class Lines {
  readonly #out: Out;
  #chunk = Buffer.allocUnsafeSlow(chunkBytes);
  #used = 0;
  /** Passed to the stream, perhaps not written yet. */
  #lent: Buffer<ArrayBuffer>[] = [];
  #spare: Buffer<ArrayBuffer>[] = [];

  constructor(out: Out) {
    this.#out = out;
    out.on("drain", () => {
      this.#spare = [...this.#spare, ...this.#lent].slice(0, mostSpare);
      this.#lent = [];
    });
  }

  write(line: string): void {
    if (line.length * 3 > chunkBytes - this.#used) this.flush();
    if (line.length * 3 > chunkBytes) this.#out.write(Buffer.from(line));
    else this.#used += this.#chunk.write(line, this.#used);
  }

  flush(): void {
    if (this.#used === 0) return;
    const chunk = this.#chunk;
    const full = chunk.subarray(0, this.#used);
    if (this.#lent.length < mostSpare) this.#lent.push(chunk);
    this.#chunk = this.#spare.pop() ?? Buffer.allocUnsafeSlow(chunkBytes);
    this.#used = 0;
    this.#out.write(full);
  }
}

export function createLogger(level: string, name: string): Logger {
  const out = pino.destination({ fd: 1, sync: false, contentMode: "buffer", maxLength: maxWaitingBytes });
  const lines = new Lines(out as unknown as Out);
  setInterval(() => lines.flush(), flushMs).unref();
  process.once("exit", () => {
    lines.flush();
    out.flushSync();
  });
  const options = {
    level,
    base: { name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, lines);
}

/** At most 1 KiB, without characters that could start a new line or control a terminal. */
export function clean(text: string): string {
  if (text.length <= 1024 && needsNoEscape.test(text)) return text;
  const short = text.length > 1024 ? `${text.slice(0, 1023)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}

/** A value that a client controls, as JSON. */
const cleaned = (text: string): string =>
  text.length <= 1024 && needsNoEscape.test(text) ? `"${text}"` : JSON.stringify(clean(text));

function cacheFields({ cache, semantic }: CallRecord): string {
  if (cache === null) return "";
  if (semantic === null) return `,"cache":"${cache}"`;
  const similarity = semantic.similarity === null ? "" : `,"similarity":${semantic.similarity.toFixed(4)}`;
  return `,"cache":"${cache}","semantic":"${semantic.result}"${similarity}`;
}

/** For an answer that did not complete: how it ended, and how much of it was sent. */
function cutShort({ broken, abandoned, stalled, code, sentBytes }: CallRecord): string {
  const gone = abandoned || code === "client_closed_request";
  if (!gone && !broken) return "";
  const byClient = stalled ? "client_stalled" : "client_closed";
  return `,"outcome":"${gone ? byClient : "stream_error"}","sent_bytes":${sentBytes}`;
}

function statusFields({ status, code, cause, stream }: CallRecord): string {
  if (status === 200 && code === null && cause === null)
    return stream ? ',"status":200,"stream":true' : ',"status":200,"stream":false';
  return `,"status":${status}${code === null ? "" : `,"code":"${code}"`}${cause === null ? "" : `,"cause":${cleaned(cause)}`},"stream":${stream}`;
}

const shared = new SharedFields();

/** The fields of a call as JSON members, each after a comma. Built by hand for every call: a serialiser costs ten times as much. */
export function callFields(call: CallRecord): string {
  const usage = call.usage;
  let line = `,"request_id":${cleaned(call.requestId)},"address":"${call.address}"${shared.place(call)}${shared.caller(call)}`;
  if (call.session !== "") line += `,"session":"${call.session}"`;
  line += statusFields(call);
  line += cutShort(call);
  line += `,"duration_ms":${Math.round(call.durationMs)}`;
  if (call.firstByteMs !== null) line += `,"first_token_ms":${Math.round(call.firstByteMs)}`;
  if (usage !== null) {
    line += `,"input_tokens":${usage.prompt},"cached_tokens":${usage.cachedPrompt},"output_tokens":${usage.completion}`;
    line += usage.estimated ? ',"estimated":true' : ',"estimated":false';
  }
  if (call.masked !== null) line += `,"masked":${JSON.stringify(call.masked)}`;
  line += cacheFields(call);
  if (call.costNanoUsd !== null) line += `,"cost_nano_usd":${call.costNanoUsd}`;
  if (call.moved !== undefined) line += `,"session_moved":${JSON.stringify(call.moved)}`;
  const lacking = call.attempts.at(-1)?.unpriced;
  if (lacking !== undefined) line += `,"unpriced":${JSON.stringify(lacking)}`;
  if (call.attempts.length > 1) line += `,"attempts":${JSON.stringify(call.attempts)}`;
  if (call.dropped.length > 0) line += `,"dropped_params":${JSON.stringify(call.dropped)}`;
  if (call.payloads !== null)
    line += `,"request_body":${quoted(call.payloads.request)},"response_body":${quoted(call.payloads.response)}`;
  return line;
}

const { chindingsSym, streamSym } = pino.symbols;

/** A refused attempt is recorded whatever the policy logs. */
export const isLogged = ({ statistics, status }: CallRecord): boolean => statistics || status === 401 || status === 403;

/** One line per call, in the logger's own format. Bodies are included only if the route's `logging.payloads` asks for them. */
export function logCall(log: Logger, call: CallRecord): void {
  if (!log.isLevelEnabled("info")) return;
  const inner = log as unknown as Record<symbol, unknown>;
  const out = inner[streamSym] as { write(line: string): void };
  out.write(
    `${head(call.startedMs + call.durationMs)}${String(inner[chindingsSym])}${callFields(call)},"msg":"call"}\n`,
  );
}

const thousandths = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, "0")}Z"`);

let second = -1;
let secondHead = "";

/** Level, and time as ISO 8601 in milliseconds. Lines of one second share its text. */
function head(ms: number): string {
  const whole = Math.floor(ms);
  const rest = whole % 1000;
  if (whole - rest !== second) {
    second = whole - rest;
    secondHead = `{"level":"info","time":"${new Date(second).toISOString().slice(0, 20)}`;
  }
  return secondHead + (thousandths[rest] ?? "");
}
