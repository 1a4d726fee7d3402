/** The spans of a finished call, with the attributes of OpenTelemetry's GenAI conventions. */
import type { AttemptPeer, AttemptTime, CallTrace, StageTime } from "../call/call-trace.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import { by, GrowingMap } from "../growing-map.ts";
import { TextBytes } from "../wire/text-bytes.ts";
import type { AttributeValue, OtlpEncoding, SpanAttribute } from "./otlp.ts";
import type { SpanBatch } from "./span-batch.ts";

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

/** What attempts at one target have in common. */
interface PeerSpans {
  operation: string;
  provider: string;
  target: string;
  named: Uint8Array;
  attributes: Uint8Array;
}

type Caller = Pick<CallRecord, "user" | "team" | "role" | "tags">;

const noCaller = (): Caller & { attributes: Uint8Array } => ({
  user: "",
  team: "",
  role: "",
  tags: [],
  attributes: new Uint8Array(0),
});
/** By key, policy and model. Keys and models come and go; what is current is soon known again. */
const newCallers = by(by(by(noCaller)));
const maxCallers = 4_096;

/** Differs from the call's id, and from stage to stage. */
const stageId = (callId: string, index: number): string =>
  `${callId.slice(0, 14)}${((Number.parseInt(callId.slice(14), 16) + index + 1) % 256).toString(16).padStart(2, "0")}`;

/** Numbers of a request that its spans show: the attribute, and the members that may hold it. */
const requestNumbers: readonly (readonly [string, readonly string[]])[] = [
  ["gen_ai.request.temperature", ["temperature"]],
  ["gen_ai.request.top_p", ["top_p"]],
  ["gen_ai.request.top_k", ["top_k"]],
  ["gen_ai.request.max_tokens", ["max_completion_tokens", "max_output_tokens", "max_tokens"]],
  ["gen_ai.request.seed", ["seed"]],
  ["gen_ai.request.choice.count", ["n"]],
  ["gen_ai.request.frequency_penalty", ["frequency_penalty"]],
  ["gen_ai.request.presence_penalty", ["presence_penalty"]],
];

/** Attributes that differ from span to span. */
const attributesOf = ({ attribute }: OtlpEncoding) => ({
  status: attribute("http.response.status_code"),
  error: attribute("error.type"),
  conversation: attribute("gen_ai.conversation.id"),
  requestId: attribute("sluice.request_id"),
  cache: attribute("sluice.cache"),
  attempts: attribute("sluice.attempts"),
  cost: attribute("sluice.cost_usd"),
  saved: attribute("sluice.saved_usd"),
  input: attribute("gen_ai.input.messages"),
  output: attribute("gen_ai.output.messages"),
  stream: attribute("gen_ai.request.stream"),
  firstChunk: attribute("gen_ai.response.time_to_first_chunk"),
  resends: attribute("http.request.resend_count"),
  inputTokens: attribute("gen_ai.usage.input_tokens"),
  outputTokens: attribute("gen_ai.usage.output_tokens"),
  cacheRead: attribute("gen_ai.usage.cache_read.input_tokens"),
  cacheWrite: attribute("gen_ai.usage.cache_write.input_tokens"),
  reasoning: attribute("gen_ai.usage.reasoning.output_tokens"),
  cause: attribute("sluice.attempt.cause"),
});

/** One SERVER span for the call, one CLIENT span for each attempt, one for each stage that took time. */
export const spanCount = ({ attempts, stages }: CallTrace): number => 1 + attempts.length + stages.length;

/** Writes spans in one encoding, and keeps the bytes of what many of them have in common. */
export class SpanWriter {
  readonly #encoding: OtlpEncoding;
  readonly #attributes: ReturnType<typeof attributesOf>;
  readonly #numbers: readonly { attribute: SpanAttribute; members: readonly string[] }[];
  readonly #span = new TextBytes();
  /** By targets, which a snapshot keeps. */
  readonly #peers = new WeakMap<AttemptPeer, PeerSpans>();
  /** By method and operation. */
  readonly #heads = new GrowingMap(
    (method: string) => new GrowingMap((operation: string) => this.#headOf(method, operation)),
  );
  readonly #stages = new GrowingMap((name: string) => this.#encoding.spanName(name, "internal"));
  /** The same on every call. */
  readonly #tags: Uint8Array;
  #callers = newCallers();
  #callersKept = 0;

  constructor(encoding: OtlpEncoding, tags: Readonly<Record<string, AttributeValue | null | undefined>>) {
    this.#encoding = encoding;
    this.#attributes = attributesOf(encoding);
    this.#numbers = requestNumbers.map(([name, members]) => ({ attribute: encoding.attribute(name), members }));
    this.#tags = this.#written(Object.entries(tags));
  }

  /** Adds the spans of a finished call, as many as `spanCount` says. */
  write(trace: CallTrace, call: CallRecord, batch: SpanBatch): void {
    this.#callSpan(trace, call);
    batch.add(this.#span);
    for (let index = 0; index < trace.attempts.length; index++) {
      this.#attemptSpan(trace, call, index);
      batch.add(this.#span);
    }
    for (let index = 0; index < trace.stages.length; index++) {
      this.#stageSpan(trace, index);
      batch.add(this.#span);
    }
  }

  #written(entries: readonly (readonly [string, AttributeValue | null | undefined])[]): Uint8Array {
    const bytes = new TextBytes();
    for (const [name, value] of entries) this.#encoding.attribute(name).add(bytes, value);
    return bytes.copy();
  }

  #headOf(method: string, operation: string): { named: Uint8Array; attributes: Uint8Array } {
    const attributes = this.#written([
      ["http.request.method", method],
      ["gen_ai.operation.name", operationNameOf(operation)],
    ]);
    return { named: this.#encoding.spanName(`${method} ${operation}`, "server"), attributes };
  }

  #callSpan(trace: CallTrace, call: CallRecord): void {
    const { traceId, spanId, parentId, tracestate, fromMs, toMs } = trace;
    const { named, attributes } = this.#heads.at(call.method).at(call.operation);
    const encoding = this.#encoding;
    const own = this.#attributes;
    const out = this.#span.clear();
    encoding.beginSpan(out, { traceId, spanId, parentId, tracestate, named, fromMs, toMs });
    encoding.addAttributes(out, attributes);
    own.status.add(out, call.status);
    own.error.add(out, call.code);
    encoding.addAttributes(out, this.#callerOf(call));
    own.conversation.add(out, call.session);
    own.requestId.add(out, call.requestId);
    own.cache.add(out, call.cache);
    own.attempts.add(out, call.attempts.length || null);
    own.cost.add(out, usd(call.costNanoUsd));
    own.saved.add(out, usd(call.savedNanoUsd));
    own.input.add(out, trace.bodies?.request);
    own.output.add(out, trace.bodies?.response);
    encoding.addAttributes(out, this.#tags);
    encoding.endSpan(out, call.code === null || call.status < 500 ? null : call.code);
  }

  #callerOf(call: CallRecord): Uint8Array {
    const { route, model, key, user, team, role, tags } = call;
    const before = this.#callers.get(key)?.get(route)?.get(model);
    if (before?.user === user && before.team === team && before.role === role && before.tags === tags)
      return before.attributes;
    if (++this.#callersKept > maxCallers) {
      this.#callers = newCallers();
      this.#callersKept = 1;
    }
    const attributes = this.#written([
      ["gen_ai.request.model", model],
      ["sluice.route", route],
      ["sluice.key", key],
      ["sluice.user", user],
      ["sluice.team", team],
      ["sluice.role", role],
      ["sluice.tags", tags.length > 0 ? tags : null],
    ]);
    Object.assign(this.#callers.at(key).at(route).at(model), { user, team, role, tags, attributes });
    return attributes;
  }

  #attemptSpan(trace: CallTrace, call: CallRecord, index: number): void {
    const time = trace.attempts[index] as AttemptTime;
    const attempt = call.attempts[index];
    const failed = attempt === undefined ? "cancelled" : attempt.outcome === "ok" ? null : attempt.outcome;
    const { named, attributes } = this.#peerOf(time, operationNameOf(call.operation), attempt);
    const streamed = index === call.attempts.length - 1 && call.stream && failed === null && call.firstByteMs !== null;
    const { traceId, spanId: parentId, tracestate } = trace;
    const { spanId, fromMs, toMs } = time;
    const encoding = this.#encoding;
    const own = this.#attributes;
    const out = this.#span.clear();
    encoding.beginSpan(out, { traceId, spanId, parentId, tracestate, named, fromMs, toMs });
    encoding.addAttributes(out, attributes);
    own.stream.add(out, call.stream || null);
    this.#addNumbers(out, trace.requested);
    own.firstChunk.add(out, streamed ? (call.firstByteMs ?? 0) / 1000 : null);
    if (attempt !== undefined) this.#addUse(out, attempt);
    own.conversation.add(out, call.session);
    own.error.add(out, failed);
    own.resends.add(out, index || null);
    encoding.endSpan(out, failed);
  }

  #peerOf({ peer }: AttemptTime, operation: string, attempt: AttemptRecord | undefined): PeerSpans {
    const before = this.#peers.get(peer);
    const { provider = "", target = "" } = attempt ?? {};
    if (before?.operation === operation && before.provider === provider && before.target === target) return before;
    const { protocol, hostname, port } = new URL(peer.origin);
    const attributes = this.#written([
      ["gen_ai.operation.name", operation],
      ["gen_ai.provider.name", peer.provider],
      ["gen_ai.request.model", peer.model],
      ["server.address", hostname],
      ["server.port", Number(port) || (protocol === "https:" ? 443 : 80)],
      ["sluice.provider", provider],
      ["sluice.target", target],
    ]);
    const named = this.#encoding.spanName(`${operation} ${peer.model}`, "client");
    const made = { operation, provider, target, named, attributes };
    this.#peers.set(peer, made);
    return made;
  }

  /** The request's numbers. Of several members for one attribute the first counts. */
  #addNumbers(out: TextBytes, requested: CallTrace["requested"]): void {
    for (const { attribute, members } of this.#numbers)
      for (const member of members) {
        const value = requested[member];
        if (typeof value !== "number") continue;
        attribute.add(out, value);
        break;
      }
  }

  #addUse(out: TextBytes, { usage, cause, costNanoUsd }: AttemptRecord): void {
    const own = this.#attributes;
    if (usage !== undefined) {
      own.inputTokens.add(out, usage.prompt);
      own.outputTokens.add(out, usage.completion);
      own.cacheRead.add(out, usage.cachedPrompt || null);
      own.cacheWrite.add(out, usage.cacheWrite || null);
      own.reasoning.add(out, usage.reasoning || null);
    }
    own.cause.add(out, cause);
    own.cost.add(out, usd(costNanoUsd));
  }

  #stageSpan({ traceId, spanId: parentId, tracestate, stages }: CallTrace, index: number): void {
    const { name, fromMs, toMs } = stages[index] as StageTime;
    // Nothing refers to it, so that it needs no randomness of its own.
    const spanId = stageId(parentId, index);
    const named = this.#stages.at(name);
    const out = this.#span.clear();
    this.#encoding.beginSpan(out, { traceId, spanId, parentId, tracestate, named, fromMs, toMs });
    this.#encoding.endSpan(out, null);
  }
}
