/** The spans of a finished call, with the attributes of OpenTelemetry's GenAI conventions. */
import type { AttemptPeer, AttemptTime, CallTrace } from "../call/call-trace.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import { by, GrowingMap } from "../growing-map.ts";
import { attributeText, spanText } from "./otlp-json.ts";

const nanoUsd = 1_000_000_000;

const names = new GrowingMap(nameOf);

/** `gen_ai.operation.name` of an operation; other operations keep their own name. */
export const operationNameOf = (operation: string): string => names.at(operation);

function nameOf(operation: string): string {
  if (operation.endsWith("embeddings") || operation === "semantic_cache") return "embeddings";
  if (operation.endsWith(".completions")) return "text_completion";
  return /\.(chat|responses|messages)$/.test(operation) ? "chat" : operation;
}

const usd = (nano: number | null | undefined): number | null => (nano == null ? null : nano / nanoUsd);

const usageText = ({ usage }: Pick<AttemptRecord, "usage">): string =>
  usage === undefined
    ? ""
    : attributeText("gen_ai.usage.input_tokens", usage.prompt) +
      attributeText("gen_ai.usage.output_tokens", usage.completion) +
      attributeText("gen_ai.usage.cache_read.input_tokens", usage.cachedPrompt || null) +
      attributeText("gen_ai.usage.cache_write.input_tokens", usage.cacheWrite || null) +
      attributeText("gen_ai.usage.reasoning.output_tokens", usage.reasoning || null);

/** What attempts at one target have in common. */
interface PeerText {
  operation: string;
  provider: string;
  target: string;
  name: string;
  text: string;
}

/** By targets, which a snapshot keeps. */
const peers = new WeakMap<AttemptPeer, PeerText>();

function peerText({ peer }: AttemptTime, operation: string, provider: string, target: string): PeerText {
  const known = peers.get(peer);
  if (known?.operation === operation && known.provider === provider && known.target === target) return known;
  const { protocol, hostname, port } = new URL(peer.origin);
  const text = flat(
    attributeText("gen_ai.operation.name", operation),
    attributeText("gen_ai.provider.name", peer.provider),
    attributeText("gen_ai.request.model", peer.model),
    attributeText("server.address", hostname),
    attributeText("server.port", Number(port) || (protocol === "https:" ? 443 : 80)),
    attributeText("sluice.provider", provider),
    attributeText("sluice.target", target),
  );
  const made = { operation, provider, target, name: flat(operation, " ", peer.model), text };
  peers.set(peer, made);
  return made;
}

/** A concatenated string would be flattened again for each span. */
const flat = (...texts: readonly string[]): string => texts.join("");

type Caller = Pick<CallRecord, "user" | "team" | "role" | "tags">;

const noCaller = (): Caller & { text: string } => ({ user: "", team: "", role: "", tags: [], text: "" });
/** By key, policy and model. Keys and models come and go; what is current is soon known again. */
const newCallers = by(by(by(noCaller)));
const mostCallers = 4_096;
let callers = newCallers();
let callersKept = 0;

function callerText(call: CallRecord): string {
  const { route, model, key, user, team, role, tags } = call;
  const known = callers.get(key)?.get(route)?.get(model);
  if (known?.user === user && known.team === team && known.role === role && known.tags === tags) return known.text;
  if (++callersKept > mostCallers) {
    callers = newCallers();
    callersKept = 1;
  }
  const text = flat(
    attributeText("gen_ai.request.model", model),
    attributeText("sluice.route", route),
    attributeText("sluice.key", key),
    attributeText("sluice.user", user),
    attributeText("sluice.team", team),
    attributeText("sluice.role", role),
    attributeText("sluice.tags", tags.length > 0 ? tags : null),
  );
  Object.assign(callers.at(key).at(route).at(model), { user, team, role, tags, text });
  return text;
}

function attemptText(attempt: AttemptRecord): string {
  return (
    usageText(attempt) +
    attributeText("sluice.attempt.cause", attempt.cause) +
    attributeText("sluice.cost_usd", usd(attempt.costNanoUsd))
  );
}

function attemptSpan(trace: CallTrace, call: CallRecord, index: number): string {
  const time = trace.attempts[index] as AttemptTime;
  const attempt = call.attempts[index];
  const operation = operationNameOf(call.operation);
  const failed = attempt === undefined ? "cancelled" : attempt.outcome === "ok" ? null : attempt.outcome;
  const { name, text } = peerText(time, operation, attempt?.provider ?? "", attempt?.target ?? "");
  const streamed = index === call.attempts.length - 1 && call.stream && failed === null && call.firstByteMs !== null;
  return spanText({
    traceId: trace.traceId,
    spanId: time.spanId,
    parentId: trace.spanId,
    tracestate: trace.tracestate,
    name,
    kind: "client",
    fromMs: time.fromMs,
    toMs: time.toMs,
    error: failed,
    attributes:
      text +
      attributeText("gen_ai.request.stream", call.stream || null) +
      numbersText(trace) +
      attributeText("gen_ai.response.time_to_first_chunk", streamed ? (call.firstByteMs ?? 0) / 1000 : null) +
      (attempt === undefined ? "" : attemptText(attempt)) +
      attributeText("gen_ai.conversation.id", call.session) +
      attributeText("error.type", failed) +
      attributeText("http.request.resend_count", index || null),
  });
}

function numbersText(trace: CallTrace): string {
  let text = "";
  for (const [attribute, value] of trace.numbers()) text += attributeText(attribute, value);
  return text;
}

/** By method and operation. */
const heads = new GrowingMap(
  (method: string) =>
    new GrowingMap((operation: string) => ({
      name: flat(method, " ", operation),
      text: flat(
        attributeText("http.request.method", method),
        attributeText("gen_ai.operation.name", operationNameOf(operation)),
      ),
    })),
);

function callSpan(trace: CallTrace, call: CallRecord, tags: string): string {
  const { name, text } = heads.at(call.method).at(call.operation);
  return spanText({
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    tracestate: trace.tracestate,
    name,
    kind: "server",
    fromMs: trace.fromMs,
    toMs: trace.toMs,
    error: call.code === null || call.status < 500 ? null : call.code,
    attributes:
      text +
      attributeText("http.response.status_code", call.status) +
      attributeText("error.type", call.code) +
      callerText(call) +
      attributeText("gen_ai.conversation.id", call.session) +
      attributeText("sluice.request_id", call.requestId) +
      attributeText("sluice.cache", call.cache) +
      attributeText("sluice.attempts", call.attempts.length || null) +
      attributeText("sluice.cost_usd", usd(call.costNanoUsd)) +
      attributeText("sluice.saved_usd", usd(call.savedNanoUsd)) +
      attributeText("gen_ai.input.messages", trace.bodies?.request) +
      attributeText("gen_ai.output.messages", trace.bodies?.response) +
      tags,
  });
}

/** `tags`: as attributes. One SERVER span for the call, one CLIENT span for each attempt, one for each stage that took time. */
export function spansOf(trace: CallTrace, call: CallRecord, tags: string): string[] {
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
        attributes: "",
      }),
    ),
  ];
}

/** Differs from the call's id, and from stage to stage. */
const stageId = (callId: string, index: number): string =>
  `${callId.slice(0, 14)}${((Number.parseInt(callId.slice(14), 16) + index + 1) % 256).toString(16).padStart(2, "0")}`;
