/** Anthropic's stream → events (https://platform.claude.com/docs/en/build-with-claude/streaming). */

import { decodeUsage, mergeUsage } from "../../dialects/anthropic-messages/usage.ts";
import type { ChatDelta } from "../../dialects/canonical.ts";
import { searchMember } from "../../dialects/web-search.ts";
import { isObject, type JsonObject, jsonIn, parseJson } from "../../wire/json.ts";
import type { SseFrame } from "../../wire/sse.ts";
import { streamFailure } from "../errors.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { type Emit, sseChatDecoder } from "../sse-decoder.ts";
import { isSigned } from "./blocks.ts";
import { streamError } from "./failure.ts";
import { citedIn, finishReason, nativeReason, refusalOf, searchIn, text } from "./reply.ts";

/** A block that has begun but not ended. Blocks are identified by their index and may interleave. */
interface OpenBlock {
  start: JsonObject;
  /** Position among the tool calls, -1 for other blocks. */
  tool: number;
  thinking: string;
  signature: string;
  /** Whether part of the tool's input has arrived as JSON text. */
  hasInput: boolean;
  /** Input of a tool that runs at Anthropic, as JSON text. */
  input: string;
  /** Length of the answer's text before the block, and what the block's own text cites. */
  from: number;
  citations: JsonObject[];
}

const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

class AnthropicStream {
  readonly #blocks = new Map<unknown, OpenBlock>();
  /** Searches whose results haven't come yet, by id. */
  readonly #searches = new Map<unknown, JsonObject>();
  #tools = 0;
  #textLength = 0;
  #started = false;
  #opened = false;
  #usage: JsonObject = {};
  #stopReason: unknown = null;
  #stopSequence: unknown = null;
  #refusal = "";

  readonly #handlers: Readonly<Record<string, (body: JsonObject, emit: Emit) => void>> = {
    message_start: (body, emit) => this.#start(object(body["message"]), emit),
    content_block_start: (body, emit) => this.#open(body["index"], object(body["content_block"]), emit),
    content_block_delta: (body, emit) => this.#delta(this.#blocks.get(body["index"]), object(body["delta"]), emit),
    content_block_stop: (body, emit) => this.#close(body["index"], emit),
    message_delta: (body) => this.#message(object(body["delta"]), body["usage"]),
    message_stop: (_body, emit) => this.#stop(emit),
    ping: (_body, emit) => emit({ kind: "ping" }),
    error: (body, emit) => emit(streamError(body)),
  };

  frame(frame: SseFrame, emit: Emit): void {
    if (frame.data.trim() === "") return;
    const body: unknown = parseJson(frame.data);
    if (isObject(body)) this.#event(text(body["type"]) || frame.event, body, emit);
    else emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
  }

  /** Unknown events are ignored, since the API's versioning policy allows new ones. */
  #event(type: string, body: JsonObject, emit: Emit): void {
    if (Object.hasOwn(this.#handlers, type)) this.#handlers[type]?.(body, emit);
  }

  #start(message: JsonObject, emit: Emit): void {
    this.#usage = mergeUsage(this.#usage, message["usage"]);
    if (this.#started) return;
    this.#started = true;
    emit({ kind: "start", id: text(message["id"]) || null, model: text(message["model"]) || null });
  }

  #open(index: unknown, start: JsonObject, emit: Emit): void {
    const isTool = start["type"] === "tool_use";
    const empty = { thinking: "", signature: "", hasInput: false, input: "", from: this.#textLength, citations: [] };
    const block: OpenBlock = { start, tool: isTool ? this.#tools++ : -1, ...empty };
    this.#blocks.set(index, block);
    this.#opened = true;
    if (isTool) {
      const id = text(start["id"]);
      send(emit, {
        tool_calls: [
          { index: block.tool, id, type: "function", function: { name: text(start["name"]), arguments: "" } },
        ],
      });
    } else if (start["type"] === "redacted_thinking" && isSigned(start)) send(emit, { thinking_blocks: [start] });
    // A block begins empty, but compatible servers begin it with its first piece.
    else this.#delta(block, { ...start, type: `${text(start["type"])}_delta` }, emit);
  }

  #delta(block: OpenBlock | undefined, delta: JsonObject, emit: Emit): void {
    if (block === undefined) return;
    switch (delta["type"]) {
      case "text_delta":
        this.#textLength += text(delta["text"]).length;
        if (text(delta["text"]) !== "") send(emit, { content: text(delta["text"]) });
        break;
      case "citations_delta":
        block.citations.push(object(delta["citation"]));
        break;
      case "thinking_delta":
        this.#think(block, delta, emit);
        break;
      case "signature_delta":
        block.signature += text(delta["signature"]);
        break;
      case "input_json_delta":
        this.#input(block, text(delta["partial_json"]), emit);
        break;
    }
  }

  #think(block: OpenBlock, delta: JsonObject, emit: Emit): void {
    const thinking = text(delta["thinking"]);
    block.thinking += thinking;
    block.signature += text(delta["signature"]);
    if (thinking !== "") send(emit, { reasoning_content: thinking });
  }

  #input(block: OpenBlock, json: string, emit: Emit): void {
    if (json === "") return;
    if (block.tool < 0) {
      block.input += json;
      return;
    }
    block.hasInput = true;
    send(emit, { tool_calls: [{ index: block.tool, function: { arguments: json } }] });
  }

  #close(index: unknown, emit: Emit): void {
    const block = this.#blocks.get(index);
    if (block === undefined) return;
    this.#blocks.delete(index);
    // A tool without arguments has no input delta, but callers parse the arguments.
    if (block.tool >= 0 && !block.hasInput) this.#input(block, JSON.stringify(object(block.start["input"])), emit);
    this.#search(block, emit);
    if (block.citations.length > 0) send(emit, citedIn(block.citations, block.from, this.#textLength - block.from));
    const signed = { type: "thinking", thinking: block.thinking, signature: block.signature };
    if (isSigned(signed)) send(emit, { thinking_blocks: [signed] });
  }

  /** A search is known when its results are there. */
  #search({ start, input }: OpenBlock, emit: Emit): void {
    if (start["type"] === "server_tool_use")
      this.#searches.set(start["id"], input === "" ? start : { ...start, input: jsonIn(input) });
    if (start["type"] !== "web_search_tool_result") return;
    const search = searchIn(this.#searches.get(start["tool_use_id"]) ?? {}, start);
    this.#searches.delete(start["tool_use_id"]);
    if (search !== null) send(emit, searchMember([search]));
  }

  /** Usage counts are cumulative. */
  #message(delta: JsonObject, usage: unknown): void {
    this.#stopReason = delta["stop_reason"] ?? this.#stopReason;
    this.#stopSequence = delta["stop_sequence"] ?? this.#stopSequence;
    this.#refusal = refusalOf(delta["stop_details"]) || this.#refusal;
    this.#usage = mergeUsage(this.#usage, usage);
  }

  #stopMember(): { stopSequence?: string } {
    return typeof this.#stopSequence === "string" ? { stopSequence: this.#stopSequence } : {};
  }

  #stop(emit: Emit): void {
    for (const index of [...this.#blocks.keys()]) this.#close(index, emit);
    // A turn that is paused may end before a search has its results.
    const open = [...this.#searches.values()].flatMap((start) => searchIn(start, undefined) ?? []);
    if (open.length > 0) send(emit, searchMember(open));
    if (this.#refusal !== "") send(emit, { refusal: this.#refusal });
    const reason = finishReason(this.#stopReason, this.#tools > 0);
    const native = nativeReason(this.#stopReason, reason);
    // An end without a reason and without content is not an answer.
    if (this.#stopReason !== null || this.#opened)
      emit({ kind: "finish", choice: 0, reason, ...(native === null ? {} : { native }), ...this.#stopMember() });
    const usage = Object.keys(this.#usage).length > 0 ? decodeUsage(this.#usage) : null;
    if (usage !== null) emit({ kind: "usage", usage });
    emit({ kind: "end" });
  }
}

function send(emit: Emit, delta: ChatDelta): void {
  emit({ kind: "delta", choice: 0, delta });
}

export function anthropicDecoder(maxEventBytes?: number): ChatStreamDecoder {
  const stream = new AnthropicStream();
  return sseChatDecoder((frame, emit) => stream.frame(frame, emit), undefined, maxEventBytes);
}
