/**
 * Cohere's v2 stream → events (https://docs.cohere.com/docs/streaming). The JSON's `type` is the kind of frame;
 * `message-end` is the last one.
 */

import type { ChatDelta } from "../../dialects/canonical.ts";
import { isObject, type JsonObject, parseJson } from "../../wire/json.ts";
import type { SseFrame } from "../../wire/sse.ts";
import { errorInAnswer, streamFailure } from "../errors.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { type Emit, sseChatDecoder } from "../sse-decoder.ts";
import { decodeCohereError } from "./failure.ts";
import {
  annotationsOf,
  finishFailure,
  finishReason,
  logprobsOf,
  newCallId,
  ownCitations,
  text,
  usageOf,
} from "./reply.ts";

const inner = (value: unknown, ...path: string[]): unknown =>
  path.reduce<unknown>((node, name) => (isObject(node) ? node[name] : undefined), value);

type Handle = (body: JsonObject, emit: Emit) => void;

class CohereStream {
  /** Cohere's block index, shared with texts → position among the tool calls. */
  readonly #tools = new Map<unknown, number>();
  /** Cohere's block index → where the block's text begins in the answer's; null for thoughts. */
  readonly #starts = new Map<unknown, number | null>();
  #length = 0;

  readonly #handlers: Readonly<Record<string, Handle>> = {
    "message-start": (body, emit) => emit({ kind: "start", id: text(body["id"]) || null, model: null }),
    "content-start": (body, emit) => this.#content(body, emit),
    "content-delta": (body, emit) => this.#content(body, emit),
    "tool-plan-delta": (body, emit) =>
      tell({ reasoning_content: text(inner(body, "delta", "message", "tool_plan")) }, emit),
    "citation-start": (body, emit) => this.#cite(body, emit),
    "tool-call-start": (body, emit) => this.#toolStart(body, emit),
    "tool-call-delta": (body, emit) => this.#toolDelta(body, emit),
    "message-end": (body, emit) => this.#end(body, emit),
  };

  frame(frame: SseFrame, emit: Emit): void {
    if (frame.data.trim() === "") return;
    const body: unknown = parseJson(frame.data);
    if (!isObject(body)) {
      emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
      return;
    }
    const type = text(body["type"]) || frame.event;
    const handle = Object.hasOwn(this.#handlers, type) ? this.#handlers[type] : undefined;
    if (handle) handle(body, emit);
    // An error in a stream has no type, but the same envelope as an error before a stream.
    else if (type === "error" || (type === "" && typeof body["message"] === "string")) {
      emit({ kind: "error", error: errorInAnswer(body, decodeCohereError) });
    }
  }

  #content(body: JsonObject, emit: Emit): void {
    const content = inner(body, "delta", "message", "content");
    const thought = text(inner(content, "thinking"));
    const words = text(inner(content, "text"));
    const { index } = body;
    if (!this.#starts.has(index)) this.#starts.set(index, thought === "" ? this.#length : null);
    this.#length += words.length;
    tell({ reasoning_content: thought }, emit);
    tell({ content: words }, emit, logprobsOf(body["logprobs"]));
  }

  #cite(body: JsonObject, emit: Emit): void {
    const starts = this.#starts;
    const annotations = annotationsOf(inner(body, "delta", "message", "citations"), (part) =>
      starts.has(part) ? (starts.get(part) ?? null) : 0,
    );
    const citations = ownCitations(inner(body, "delta", "message", "citations"));
    const cited = annotations.length > 0 ? { annotations, ...citations } : citations;
    if (citations.citations !== undefined) emit({ kind: "delta", choice: 0, delta: cited });
  }

  #toolStart(body: JsonObject, emit: Emit): void {
    const call = inner(body, "delta", "message", "tool_calls");
    const index = this.#tools.size;
    this.#tools.set(body["index"] ?? `#${index}`, index);
    const id = text(inner(call, "id")) || newCallId();
    const fn = { name: text(inner(call, "function", "name")), arguments: text(inner(call, "function", "arguments")) };
    emit({ kind: "delta", choice: 0, delta: { tool_calls: [{ index, id, type: "function", function: fn }] } });
  }

  #toolDelta(body: JsonObject, emit: Emit): void {
    const index = this.#tools.get(body["index"]) ?? Math.max(0, this.#tools.size - 1);
    const args = text(inner(body, "delta", "message", "tool_calls", "function", "arguments"));
    if (args !== "")
      emit({ kind: "delta", choice: 0, delta: { tool_calls: [{ index, function: { arguments: args } }] } });
  }

  #end(body: JsonObject, emit: Emit): void {
    const native = inner(body, "delta", "finish_reason");
    const words = inner(body, "delta", "error");
    const failure = finishFailure(native ?? (text(words) === "" ? undefined : "ERROR"), words);
    const usage = usageOf(inner(body, "delta", "usage"));
    if (failure === null) emit({ kind: "finish", choice: 0, ...finishReason(native, this.#tools.size > 0) });
    if (usage !== null) emit({ kind: "usage", usage });
    emit(failure === null ? { kind: "end" } : { kind: "error", error: failure });
  }
}

/** Nothing if the delta is empty. */
function tell(delta: ChatDelta, emit: Emit, logprobs?: JsonObject): void {
  const words = delta.content ?? delta.reasoning_content ?? "";
  if (logprobs !== undefined) emit({ kind: "delta", choice: 0, delta, logprobs });
  else if (words !== "") emit({ kind: "delta", choice: 0, delta });
}

export function cohereChatDecoder(maxEventBytes?: number): ChatStreamDecoder {
  const stream = new CohereStream();
  return sseChatDecoder((frame, emit) => stream.frame(frame, emit), undefined, maxEventBytes);
}
