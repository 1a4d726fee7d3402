/** The spans of a finished call, with the attributes of OpenTelemetry's GenAI conventions. */
import type { AttemptPeer, AttemptTime, CallTrace } from "../call/call-trace.ts";
import type { AttemptRecord, CallRecord } from "../call/record.ts";
import { by, GrowingMap } from "../growing-map.ts";
import type { AttributeValue, OtlpEncoding } from "./otlp.ts";

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
interface PeerText {
  operation: string;
  provider: string;
  target: string;
  name: string;
  text: string;
}

/** A concatenated string would be flattened again for each span. */
const flat = (...texts: readonly string[]): string => texts.join("");

type Caller = Pick<CallRecord, "user" | "team" | "role" | "tags">;

const noCaller = (): Caller & { text: string } => ({ user: "", team: "", role: "", tags: [], text: "" });
/** By key, policy and model. Keys and models come and go; what is current is soon known again. */
const newCallers = by(by(by(noCaller)));
const maxCallers = 4_096;

/** Differs from the call's id, and from stage to stage. */
const stageId = (callId: string, index: number): string =>
  `${callId.slice(0, 14)}${((Number.parseInt(callId.slice(14), 16) + index + 1) % 256).toString(16).padStart(2, "0")}`;

/** Writes spans in one encoding, and keeps the text of what many of them have in common. */
export class SpanWriter {
  readonly #encoding: OtlpEncoding;
  /** By targets, which a snapshot keeps. */
  readonly #peers = new WeakMap<AttemptPeer, PeerText>();
  /** By method and operation. */
  readonly #heads = new GrowingMap(
    (method: string) => new GrowingMap((operation: string) => this.#headOf(method, operation)),
  );
  /** The same on every call. */
  readonly #tags: string;
  #callers = newCallers();
  #callersKept = 0;

  constructor(encoding: OtlpEncoding, tags: Readonly<Record<string, AttributeValue | null | undefined>>) {
    this.#encoding = encoding;
    this.#tags = this.#attributes(Object.entries(tags));
  }

  /** One SERVER span for the call, one CLIENT span for each attempt, one for each stage that took time. */
  spansOf(trace: CallTrace, call: CallRecord): string[] {
    return [
      this.#callSpan(trace, call),
      ...trace.attempts.map((_, index) => this.#attemptSpan(trace, call, index)),
      ...trace.stages.map(({ name, fromMs, toMs }, index) =>
        this.#encoding.span({
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

  #attributes(entries: readonly (readonly [string, AttributeValue | null | undefined])[]): string {
    let text = "";
    for (const [name, value] of entries) text += this.#encoding.attribute(name, value);
    return text;
  }

  #headOf(method: string, operation: string): { name: string; text: string } {
    const text = this.#attributes([
      ["http.request.method", method],
      ["gen_ai.operation.name", operationNameOf(operation)],
    ]);
    return { name: flat(method, " ", operation), text: flat(text) };
  }

  #callSpan(trace: CallTrace, call: CallRecord): string {
    const { attribute, span } = this.#encoding;
    const { name, text } = this.#heads.at(call.method).at(call.operation);
    return span({
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
        attribute("http.response.status_code", call.status) +
        attribute("error.type", call.code) +
        this.#callerText(call) +
        attribute("gen_ai.conversation.id", call.session) +
        attribute("sluice.request_id", call.requestId) +
        attribute("sluice.cache", call.cache) +
        attribute("sluice.attempts", call.attempts.length || null) +
        attribute("sluice.cost_usd", usd(call.costNanoUsd)) +
        attribute("sluice.saved_usd", usd(call.savedNanoUsd)) +
        attribute("gen_ai.input.messages", trace.bodies?.request) +
        attribute("gen_ai.output.messages", trace.bodies?.response) +
        this.#tags,
    });
  }

  #callerText(call: CallRecord): string {
    const { route, model, key, user, team, role, tags } = call;
    const known = this.#callers.get(key)?.get(route)?.get(model);
    if (known?.user === user && known.team === team && known.role === role && known.tags === tags) return known.text;
    if (++this.#callersKept > maxCallers) {
      this.#callers = newCallers();
      this.#callersKept = 1;
    }
    const text = flat(
      this.#attributes([
        ["gen_ai.request.model", model],
        ["sluice.route", route],
        ["sluice.key", key],
        ["sluice.user", user],
        ["sluice.team", team],
        ["sluice.role", role],
        ["sluice.tags", tags.length > 0 ? tags : null],
      ]),
    );
    Object.assign(this.#callers.at(key).at(route).at(model), { user, team, role, tags, text });
    return text;
  }

  #attemptSpan(trace: CallTrace, call: CallRecord, index: number): string {
    const { attribute, span } = this.#encoding;
    const time = trace.attempts[index] as AttemptTime;
    const attempt = call.attempts[index];
    const operation = operationNameOf(call.operation);
    const failed = attempt === undefined ? "cancelled" : attempt.outcome === "ok" ? null : attempt.outcome;
    const { name, text } = this.#peerText(time, operation, attempt?.provider ?? "", attempt?.target ?? "");
    const streamed = index === call.attempts.length - 1 && call.stream && failed === null && call.firstByteMs !== null;
    return span({
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
        attribute("gen_ai.request.stream", call.stream || null) +
        this.#attributes(trace.numbers()) +
        attribute("gen_ai.response.time_to_first_chunk", streamed ? (call.firstByteMs ?? 0) / 1000 : null) +
        (attempt === undefined ? "" : this.#attemptText(attempt)) +
        attribute("gen_ai.conversation.id", call.session) +
        attribute("error.type", failed) +
        attribute("http.request.resend_count", index || null),
    });
  }

  #peerText({ peer }: AttemptTime, operation: string, provider: string, target: string): PeerText {
    const known = this.#peers.get(peer);
    if (known?.operation === operation && known.provider === provider && known.target === target) return known;
    const { protocol, hostname, port } = new URL(peer.origin);
    const text = this.#attributes([
      ["gen_ai.operation.name", operation],
      ["gen_ai.provider.name", peer.provider],
      ["gen_ai.request.model", peer.model],
      ["server.address", hostname],
      ["server.port", Number(port) || (protocol === "https:" ? 443 : 80)],
      ["sluice.provider", provider],
      ["sluice.target", target],
    ]);
    const made = { operation, provider, target, name: flat(operation, " ", peer.model), text: flat(text) };
    this.#peers.set(peer, made);
    return made;
  }

  #attemptText({ usage, cause, costNanoUsd }: AttemptRecord): string {
    const { attribute } = this.#encoding;
    const used =
      usage === undefined
        ? ""
        : attribute("gen_ai.usage.input_tokens", usage.prompt) +
          attribute("gen_ai.usage.output_tokens", usage.completion) +
          attribute("gen_ai.usage.cache_read.input_tokens", usage.cachedPrompt || null) +
          attribute("gen_ai.usage.cache_write.input_tokens", usage.cacheWrite || null) +
          attribute("gen_ai.usage.reasoning.output_tokens", usage.reasoning || null);
    return used + attribute("sluice.attempt.cause", cause) + attribute("sluice.cost_usd", usd(costNanoUsd));
  }
}
