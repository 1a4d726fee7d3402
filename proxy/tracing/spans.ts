/** The spans of a finished call, with the attributes of OpenTelemetry's GenAI conventions. */
import type { AttemptTime, CallTrace } from "../call/call-trace.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import { type Attributes, spanText } from "./otlp-json.ts";

const nanoUsd = 1_000_000_000;

/** `gen_ai.operation.name` of an operation; other operations keep their own name. */
export function operationNameOf(operation: string): string {
  if (operation.endsWith("embeddings") || operation === "semantic_cache") return "embeddings";
  if (operation.endsWith(".completions")) return "text_completion";
  return /\.(chat|responses|messages)$/.test(operation) ? "chat" : operation;
}

const usageOf = ({ usage }: Pick<AttemptRecord, "usage">): Attributes =>
  usage === undefined
    ? {}
    : {
        "gen_ai.usage.input_tokens": usage.prompt,
        "gen_ai.usage.output_tokens": usage.completion,
        "gen_ai.usage.cache_read.input_tokens": usage.cachedPrompt || null,
        "gen_ai.usage.cache_write.input_tokens": usage.cacheWrite || null,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning || null,
      };

function placeOf({ peer }: AttemptTime): Attributes {
  const { protocol, hostname, port } = new URL(peer.origin);
  return { "server.address": hostname, "server.port": Number(port) || (protocol === "https:" ? 443 : 80) };
}

function attemptSpan(trace: CallTrace, call: CallRecord, index: number): string {
  const time = trace.attempts[index] as AttemptTime;
  const attempt = call.attempts[index];
  const operation = operationNameOf(call.operation);
  const { model, provider } = time.peer;
  const failed = attempt === undefined ? "cancelled" : attempt.outcome === "ok" ? null : attempt.outcome;
  const last = index === call.attempts.length - 1;
  return spanText({
    traceId: trace.traceId,
    spanId: time.spanId,
    parentId: trace.spanId,
    tracestate: trace.tracestate,
    name: `${operation} ${model}`,
    kind: "client",
    fromMs: time.fromMs,
    toMs: time.toMs,
    error: failed,
    attributes: {
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": provider,
      "gen_ai.request.model": model,
      ...placeOf(time),
      "gen_ai.request.stream": call.stream || null,
      ...Object.fromEntries(trace.numbers()),
      "gen_ai.response.time_to_first_chunk":
        last && call.stream && failed === null && call.firstByteMs !== null ? call.firstByteMs / 1000 : null,
      ...(attempt === undefined ? {} : usageOf(attempt)),
      "gen_ai.conversation.id": call.session,
      "error.type": failed,
      "http.request.resend_count": index || null,
      "sluice.provider": attempt?.provider,
      "sluice.target": attempt?.target,
      "sluice.attempt.cause": attempt?.cause,
      "sluice.cost_usd": attempt?.costNanoUsd == null ? null : attempt.costNanoUsd / nanoUsd,
    },
  });
}

function callSpan(trace: CallTrace, call: CallRecord, tags: Attributes): string {
  return spanText({
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    tracestate: trace.tracestate,
    name: `${call.method} ${call.operation}`,
    kind: "server",
    fromMs: trace.fromMs,
    toMs: trace.toMs,
    error: call.code === null || call.status < 500 ? null : call.code,
    attributes: {
      "http.request.method": call.method,
      "http.response.status_code": call.status,
      "error.type": call.code,
      "gen_ai.operation.name": operationNameOf(call.operation),
      "gen_ai.request.model": call.model,
      "gen_ai.conversation.id": call.session,
      "sluice.request_id": call.requestId,
      "sluice.route": call.route,
      "sluice.key": call.key,
      "sluice.user": call.user,
      "sluice.team": call.team,
      "sluice.role": call.role,
      "sluice.tags": call.tags.length > 0 ? call.tags : null,
      "sluice.cache": call.cache,
      "sluice.attempts": call.attempts.length || null,
      "sluice.cost_usd": call.costNanoUsd === null ? null : call.costNanoUsd / nanoUsd,
      "sluice.saved_usd": call.savedNanoUsd === null ? null : call.savedNanoUsd / nanoUsd,
      "gen_ai.input.messages": trace.bodies?.request,
      "gen_ai.output.messages": trace.bodies?.response,
      ...tags,
    },
  });
}

/** One SERVER span for the call, one CLIENT span for each attempt, one for each stage that took time. */
export function spansOf(trace: CallTrace, call: CallRecord, tags: Attributes): string[] {
  return [
    callSpan(trace, call, tags),
    ...trace.attempts.map((_, index) => attemptSpan(trace, call, index)),
    ...trace.stages.map(({ name, fromMs, toMs }, index) =>
      spanText({
        traceId: trace.traceId,
        // Nothing refers to it, so that it needs no randomness of its own.
        spanId: stageId(trace.spanId, index),
        parentId: trace.spanId,
        tracestate: trace.tracestate,
        name,
        kind: "internal",
        fromMs,
        toMs,
        error: null,
        attributes: {},
      }),
    ),
  ];
}

/** Differs from the call's id, and from stage to stage. */
const stageId = (callId: string, index: number): string =>
  `${callId.slice(0, 14)}${((Number.parseInt(callId.slice(14), 16) + index + 1) % 256).toString(16).padStart(2, "0")}`;
