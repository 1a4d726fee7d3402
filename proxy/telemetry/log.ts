/** Structured logs: one JSON line an event. Fields that a client can fill are cut short and freed of control characters. */
import { type Logger, pino } from "pino";
import type { CallRecord } from "./record.ts";

export type { Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "silent"] as const;

/** A line waits at most this long, in milliseconds. */
const flushMs = 200;

export function createLogger(level: string, name: string): Logger {
  // Lines are gathered and written in one go: a write for each would cost more than all the rest of logging.
  const out = pino.destination({ fd: 1, minLength: 4096, sync: false });
  setInterval(() => out.flush(), flushMs).unref();
  process.once("exit", () => out.flushSync());
  const options = { level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  return pino(options, out);
}

/** At most 1 KiB, without characters that could pass for another line or steer a terminal. */
export function clean(text: string): string {
  const short = text.length > 1024 ? `${text.slice(0, 1023)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, " ");
}

/** One line a call. Bodies are in it only where the route's `logging.payloads` asks for them. */
export function logCall(log: Logger, call: CallRecord): void {
  const usage = call.usage;
  const line = {
    request_id: clean(call.requestId),
    operation: call.operation,
    route: call.route,
    model: call.model,
    provider: call.provider,
    ...(call.region === "" ? {} : { region: call.region }),
    upstream_model: call.upstreamModel,
    key: call.key,
    user: call.user,
    team: call.team,
    status: call.status,
    ...(call.code === null ? {} : { code: call.code }),
    ...(call.cause === null ? {} : { cause: clean(call.cause) }),
    stream: call.stream,
    ...(call.broken ? { outcome: "stream_error" } : {}),
    ...(call.abandoned ? { outcome: "client_closed" } : {}),
    duration_ms: Math.round(call.durationMs),
    ...(call.firstByteMs === null ? {} : { first_token_ms: Math.round(call.firstByteMs) }),
    ...(usage === null ? {} : { input_tokens: usage.prompt, cached_tokens: usage.cachedPrompt, output_tokens: usage.completion, estimated: usage.estimated }),
    ...(call.costNanoUsd === null ? {} : { cost_nano_usd: call.costNanoUsd }),
    ...(call.attempts.length > 1 ? { attempts: call.attempts } : {}),
    ...(call.dropped.length > 0 ? { dropped_params: call.dropped } : {}),
    ...(call.payloads === null ? {} : { request_body: call.payloads.request, response_body: call.payloads.response }),
  };
  log.info(line, "call");
}
