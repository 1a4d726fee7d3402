/** Structured logs: one JSON line per event. Fields that a client controls are truncated and stripped of control characters. */
import { Buffer } from "node:buffer";
import { type Logger, pino } from "pino";
import type { CallRecord } from "../call/record.ts";
import type { Comparison } from "../config/shadow-report.ts";
import { TextBytes } from "../wire/text-bytes.ts";
import { addCallFields } from "./call-fields.ts";

export type { Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** Longest time a line waits, in milliseconds. */
const flushMs = 200;
const chunkBytes = 65_536;
/** Bytes that may wait for a slow reader. Beyond that, lines are dropped: logging never blocks a call. */
const maxWaitingBytes = 16_777_216;

/** Written chunks that are kept for reuse. */
const maxSpare = 4;

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
      this.#spare = [...this.#spare, ...this.#lent].slice(0, maxSpare);
      this.#lent = [];
    });
  }

  write(line: string): void {
    if (line.length * 3 > chunkBytes - this.#used) this.flush();
    if (line.length * 3 > chunkBytes) this.#out.write(Buffer.from(line));
    else this.#used += this.#chunk.write(line, this.#used);
  }

  /** Takes a line without converting it to a string. */
  take(line: TextBytes): void {
    if (line.length > chunkBytes - this.#used) this.flush();
    if (line.length > chunkBytes) {
      this.#out.write(Buffer.from(line.toString()));
      return;
    }
    line.copyTo(this.#chunk, this.#used);
    this.#used += line.length;
  }

  flush(): void {
    if (this.#used === 0) return;
    const chunk = this.#chunk;
    const full = chunk.subarray(0, this.#used);
    if (this.#lent.length < maxSpare) this.#lent.push(chunk);
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

const { chindingsSym, streamSym } = pino.symbols;

/** Refused attempts are recorded whatever the policy logs. */
export const isLogged = ({ statistics, status }: CallRecord): boolean => statistics || status === 401 || status === 403;

/** One line per call, in the logger's own format. Bodies are included only if the route's `logging.payloads` asks for them. */
export function logCall(log: Logger, call: CallRecord): void {
  writeCall(log, call, ',"msg":"call"}\n');
}

/** One line per copy of a call to a shadow, with the call that it is compared with. No text of either answer. */
export function logShadow(log: Logger, copy: CallRecord, { call, similarity }: Comparison): void {
  const { provider, model, status, inputTokens, outputTokens, costNanoUsd, durationMs } = call;
  const compared = {
    ...{ provider, upstream_model: model, status, duration_ms: Math.round(durationMs) },
    ...{ input_tokens: inputTokens, output_tokens: outputTokens, cost_nano_usd: costNanoUsd },
  };
  const alike = similarity === null ? null : Number(similarity.toFixed(4));
  writeCall(log, copy, `,"compared_with":${JSON.stringify(compared)},"similarity":${alike},"msg":"shadow"}\n`);
}

const line = new TextBytes();

function writeCall(log: Logger, call: CallRecord, end: string): void {
  if (!log.isLevelEnabled("info")) return;
  const inner = log as unknown as Record<symbol, unknown>;
  const out = inner[streamSym] as Lines | { write(line: string): void };
  line.clear();
  addHead(call.startedMs + call.durationMs);
  addCallFields(line.utf8(String(inner[chindingsSym])), call).utf8(end);
  if (out instanceof Lines) out.take(line);
  else out.write(line.toString());
}

const thousandths = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, "0")}Z"`);

let second = -1;
let secondHead: Buffer = Buffer.alloc(0);

/** Level, and time as ISO 8601 in milliseconds. Lines of one second share its text. */
function addHead(ms: number): void {
  const whole = Math.floor(ms);
  const rest = whole % 1000;
  if (whole - rest !== second) {
    second = whole - rest;
    secondHead = Buffer.from(`{"level":"info","time":"${new Date(second).toISOString().slice(0, 20)}`);
  }
  line.raw(secondHead).utf8(thousandths[rest] ?? "");
}
