/** A Responses stream → events (https://platform.openai.com/docs/api-reference/responses-streaming). */
import type { ChatDelta } from "../../../dialects/canonical.ts";
import { usageOf } from "../../../dialects/openai-responses/usage.ts";
import { searchMember } from "../../../dialects/web-search.ts";
import { isObject, type JsonObject, objectsIn, parseJson } from "../../../wire/json.ts";
import type { SseFrame } from "../../../wire/sse.ts";
import { errorInAnswer, streamFailure } from "../../errors.ts";
import type { ChatStreamDecoder } from "../../provider.ts";
import { type Emit, sseChatDecoder } from "../../sse-decoder.ts";
import { decodeOpenAiError } from "../failure.ts";
import { summaryIn, thinkingOf } from "./reasoning.ts";
import { annotationOf, endOf, searchIn } from "./reply.ts";

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

interface OpenCall {
  index: number;
  hasArguments: boolean;
}

function send(emit: Emit, delta: ChatDelta, logprobs?: readonly unknown[]): void {
  const more =
    logprobs === undefined || logprobs.length === 0 ? {} : { logprobs: { content: logprobs, refusal: null } };
  emit({ kind: "delta", choice: 0, delta, ...more });
}

class ResponsesStream {
  readonly #start: string;
  /** Calls by the position of their items. */
  readonly #calls = new Map<unknown, OpenCall>();
  #textLength = 0;
  /** Length of the text before the part that is written. */
  #partFrom = 0;
  #hasSummary = false;
  #started = false;

  readonly #handlers: Readonly<Record<string, (body: JsonObject, emit: Emit) => void>> = {
    "response.created": ({ response }, emit) => this.#begin(object(response), emit),
    "response.in_progress": ({ response }, emit) => this.#begin(object(response), emit),
    "response.output_item.added": ({ item, output_index: at }, emit) => this.#added(object(item), at, emit),
    "response.output_item.done": ({ item, output_index: at }, emit) => this.#done(object(item), at, emit),
    "response.content_part.added": () => {
      this.#partFrom = this.#textLength;
    },
    "response.output_text.delta": ({ delta, logprobs }, emit) => this.#text(text(delta), objectsIn(logprobs), emit),
    "response.output_text.annotation.added": ({ annotation }, emit) => {
      const annotations = annotationOf(object(annotation), this.#partFrom);
      if (annotations.length > 0) send(emit, { annotations });
    },
    "response.refusal.delta": ({ delta }, emit) => send(emit, { refusal: text(delta) }),
    "response.reasoning_summary_part.added": ({ summary_index: at }, emit) => {
      if (Number(at) > 0) this.#think("\n\n", emit);
    },
    "response.reasoning_summary_text.delta": ({ delta }, emit) => this.#think(text(delta), emit),
    "response.reasoning_text.delta": ({ delta }, emit) => this.#think(text(delta), emit),
    "response.function_call_arguments.delta": ({ delta, output_index: at }, emit) =>
      this.#arguments(this.#calls.get(at), text(delta), emit),
    "response.completed": ({ response }, emit) => this.#end(object(response), emit),
    "response.incomplete": ({ response }, emit) => this.#end(object(response), emit),
    "response.failed": ({ response }, emit) => this.#fail({ error: object(response)["error"] }, object(response), emit),
    error: (body, emit) => this.#fail(isObject(body["error"]) ? body : { error: body }, {}, emit),
  };

  constructor(start: string) {
    this.#start = start;
  }

  frame(frame: SseFrame, emit: Emit): void {
    if (frame.data.trim() === "" || frame.data === "[DONE]") return;
    const body: unknown = parseJson(frame.data);
    if (!isObject(body)) {
      emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
      return;
    }
    const type = text(body["type"]) || frame.event || (isObject(body["error"]) ? "error" : "");
    // New events are not breaking changes.
    if (Object.hasOwn(this.#handlers, type)) this.#handlers[type]?.(body, emit);
  }

  #begin(response: JsonObject, emit: Emit): void {
    if (this.#started) return;
    this.#started = true;
    emit({ kind: "start", id: text(response["id"]) || null, model: text(response["model"]) || null });
  }

  #text(delta: string, logprobs: readonly unknown[], emit: Emit): void {
    this.#textLength += delta.length;
    send(emit, { content: delta }, logprobs);
  }

  #think(delta: string, emit: Emit): void {
    this.#hasSummary = true;
    send(emit, { reasoning_content: delta });
  }

  #added(item: JsonObject, at: unknown, emit: Emit): void {
    if (item["type"] === "reasoning") this.#hasSummary = false;
    if (item["type"] !== "function_call") return;
    const call = { index: this.#calls.size, hasArguments: false };
    this.#calls.set(at, call);
    const fn = { name: text(item["name"]), arguments: "" };
    send(emit, { tool_calls: [{ index: call.index, id: text(item["call_id"]), type: "function", function: fn }] });
    this.#arguments(call, text(item["arguments"]), emit);
  }

  #arguments(call: OpenCall | undefined, piece: string, emit: Emit): void {
    if (call === undefined || piece === "") return;
    call.hasArguments = true;
    send(emit, { tool_calls: [{ index: call.index, function: { arguments: piece } }] });
  }

  #done(item: JsonObject, at: unknown, emit: Emit): void {
    if (item["type"] === "function_call") {
      if (!this.#calls.has(at)) this.#added({ ...item, arguments: "" }, at, emit);
      const call = this.#calls.get(at);
      if (call?.hasArguments === false) this.#arguments(call, text(item["arguments"]), emit);
    }
    if (item["type"] === "reasoning") this.#reasoned(item, emit);
    const search = searchIn(item);
    if (search !== null) send(emit, searchMember([search]));
  }

  #reasoned(item: JsonObject, emit: Emit): void {
    const summary = summaryIn(item);
    if (!this.#hasSummary && summary !== "") this.#think(summary, emit);
    const block = thinkingOf(item, this.#start);
    if (block !== null) send(emit, { thinking_blocks: [block] });
  }

  #usage(response: JsonObject, emit: Emit): void {
    const usage = usageOf(response);
    if (usage !== null) emit({ kind: "usage", usage });
  }

  #end(response: JsonObject, emit: Emit): void {
    this.#begin(response, emit);
    const { reason, native } = endOf(response, this.#calls.size > 0);
    emit({ kind: "finish", choice: 0, reason, ...(native === null ? {} : { native }) });
    this.#usage(response, emit);
    emit({ kind: "end" });
  }

  /** Usage is billed even if the answer fails. */
  #fail(body: JsonObject, response: JsonObject, emit: Emit): void {
    this.#usage(response, emit);
    emit({ kind: "error", error: errorInAnswer(body, decodeOpenAiError) });
  }
}

/** `start`: of the signatures of what the model reasons. */
export function responsesDecoder(start: string, maxEventBytes?: number): ChatStreamDecoder {
  const stream = new ResponsesStream(start);
  return sseChatDecoder((frame, emit) => stream.frame(frame, emit), undefined, maxEventBytes);
}
