/** W3C trace context: what a caller says of the trace that its call belongs to. */
import { randomBytes } from "node:crypto";

/** The trace of a call, once its spans are on their way to the collector. */
export interface ExportedTrace {
  traceId: string;
  /** When the call ended, in epoch milliseconds. */
  endMs: number;
}

export interface TraceParent {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const noTrace = "0".repeat(32);
const noSpan = "0".repeat(16);

/** Returns null for a header that the specification says to ignore. */
export function parseTraceparent(header: string | null): TraceParent | null {
  const match = header === null || header.length > 512 ? null : form.exec(header);
  if (match === null) return null;
  const [, version, traceId = "", spanId = "", flags = "00", rest] = match;
  // Version 00 has exactly four parts; ff is forbidden.
  if (version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (traceId === noTrace || spanId === noSpan) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export const traceparentOf = (traceId: string, spanId: string, sampled: boolean): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;

/** Random digits are drawn for many ids at once, and an id is a slice of them. */
const poolBytes = 4_096;
let pool = "";
let used = 0;

function randomDigits(count: number): string {
  if (used + count > pool.length) {
    pool = randomBytes(poolBytes).toString("hex");
    used = 0;
  }
  used += count;
  return pool.slice(used - count, used);
}

export const newTraceId = (): string => randomDigits(32);
export const newSpanId = (): string => randomDigits(16);

/** A number of 0 to 1 that is the same wherever the trace is seen, so that samplers with one rate agree. */
export function sampleNumberOf(traceId: string): number {
  let number = 0;
  for (let index = 19; index < 32; index++) {
    const code = traceId.charCodeAt(index);
    number = number * 16 + (code < 58 ? code - 48 : code - 87);
  }
  return number / 16 ** 13;
}
