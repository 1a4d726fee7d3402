/** Converse's stream → events (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html). */
import { Buffer } from "node:buffer";
import type { ChatDelta, StreamEvent } from "../../dialects/canonical.ts";
import { searchMember } from "../../dialects/web-search.ts";
import { type JsonObject, jsonIn, parseJson } from "../../wire/json.ts";
import { isSigned } from "../anthropic/blocks.ts";
import { oversizedEvent, streamFailure } from "../errors.ts";
import type { ChatStreamDecoder } from "../provider.ts";
import { citedIn } from "./citations.ts";
import { streamError } from "./failure.ts";
import { type Frame, FrameError, FrameReader, FrameTooLargeError } from "./frames.ts";
import {
  decodeUsage,
  finishReason,
  isMalformed,
  isOwnTool,
  malformedText,
  object,
  searchOf,
  shownReasoning,
  text,
} from "./reply.ts";

interface OpenBlock {
  /** Position among the tool calls, -1 for other blocks. */
  tool: number;
  hasInput: boolean;
  /** Input of a search, as JSON text; null for other blocks. */
  search: string | null;
  thinking: string;
  signature: string;
  redacted: Buffer[];
  /** Start of the block's text within the answer's, and its citations. */
  from: number;
  citations: JsonObject[];
}

function parsed(payload: string): unknown {
  try {
    return parseJson(payload);
  } catch {
    return payload;
  }
}

class ConverseDecoder implements ChatStreamDecoder {
  readonly #reader = new FrameReader();
  readonly #blocks = new Map<unknown, OpenBlock>();
  #out: StreamEvent[] = [];
  #over = false;
  #tools = 0;
  #textLength = 0;
  #searches = 0;
  #stopped = false;
  #metadata = false;

  readonly #handlers: Readonly<Record<string, (body: JsonObject) => void>> = {
    messageStart: () => this.#emit({ kind: "start", id: null, model: null }),
    contentBlockStart: (body) => this.#open(body["contentBlockIndex"], object(body["start"])),
    contentBlockDelta: (body) => this.#delta(body["contentBlockIndex"], object(body["delta"])),
    contentBlockStop: (body) => this.#close(body["contentBlockIndex"]),
    messageStop: (body) =>
      this.#stop(body["stopReason"], object(body["additionalModelResponseFields"])["stop_sequence"]),
    metadata: (body) => this.#end(body["usage"], body["serviceTier"]),
  };

  push(bytes: Uint8Array): StreamEvent[] {
    if (this.#over) return [];
    try {
      this.#reader.push(bytes, (frame) => {
        this.#frame(frame);
        return !this.#over;
      });
    } catch (cause) {
      if (!(cause instanceof FrameError)) throw cause;
      this.#emit(
        cause instanceof FrameTooLargeError
          ? oversizedEvent("The provider sent an event that is larger than the gateway accepts.")
          : streamFailure("upstream_invalid_response", "The provider's stream could not be read."),
      );
    }
    return this.#taken();
  }

  end(): StreamEvent[] {
    this.#emit(
      streamFailure(
        "upstream_stream_truncated",
        "The provider's stream ended before the answer was complete.",
        "Unavailable",
      ),
    );
    return this.#taken();
  }

  #taken(): StreamEvent[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  #emit(event: StreamEvent): void {
    if (this.#over) return;
    this.#over = event.kind === "end" || event.kind === "error";
    this.#out.push(event);
  }

  #send(delta: ChatDelta): void {
    this.#emit({ kind: "delta", choice: 0, delta });
  }

  /** An exception frame means that the stream failed, as does a frame that is neither event nor exception. */
  #frame(frame: Frame): void {
    const body = parsed(frame.payload);
    const kind = frame.header(":message-type");
    if (kind === "event") this.#event(frame.header(":event-type"), body);
    else if (kind === "error") this.#emit(streamError(frame.header(":error-code"), frame.header(":error-message")));
    else this.#emit(streamError(frame.header(":exception-type"), body));
  }

  /** Unknown events are ignored, as AWS's SDKs do. */
  #event(type: string, body: unknown): void {
    if (!Object.hasOwn(this.#handlers, type)) return;
    if (typeof body === "object" && body !== null) this.#handlers[type]?.(object(body));
    else this.#emit(streamFailure("upstream_invalid_response", "The provider's stream could not be read."));
  }

  /** Text and reasoning blocks have no start event. */
  #block(index: unknown): OpenBlock {
    let block = this.#blocks.get(index);
    if (block === undefined) {
      const empty = { hasInput: false, search: null, thinking: "", signature: "", redacted: [], citations: [] };
      block = { tool: -1, ...empty, from: this.#textLength };
      this.#blocks.set(index, block);
    }
    return block;
  }

  #open(index: unknown, start: JsonObject): void {
    const use = start["toolUse"];
    if (use === undefined) return;
    const block = this.#block(index);
    if (isOwnTool(object(use))) {
      block.search = "";
      return;
    }
    block.tool = this.#tools++;
    const { toolUseId, name } = object(use);
    const id = text(toolUseId);
    this.#send({
      tool_calls: [{ index: block.tool, id, type: "function", function: { name: text(name), arguments: "" } }],
    });
  }

  #delta(index: unknown, delta: JsonObject): void {
    const block = this.#block(index);
    const words = text(delta["text"]);
    this.#textLength += words.length;
    if (words !== "") this.#send({ content: words });
    if (delta["citation"] !== undefined) block.citations.push(object(delta["citation"]));
    this.#input(block, text(object(delta["toolUse"])["input"]));
    this.#think(block, object(delta["reasoningContent"]));
  }

  #input(block: OpenBlock, json: string): void {
    if (block.search !== null) block.search += json;
    if (block.tool < 0 || json === "") return;
    block.hasInput = true;
    this.#send({ tool_calls: [{ index: block.tool, function: { arguments: json } }] });
  }

  #think(block: OpenBlock, reasoning: JsonObject): void {
    const thinking = shownReasoning(text(reasoning["text"]));
    block.thinking += thinking;
    block.signature += text(reasoning["signature"]);
    if (typeof reasoning["redactedContent"] === "string")
      block.redacted.push(Buffer.from(reasoning["redactedContent"], "base64"));
    if (thinking !== "") this.#send({ reasoning_content: thinking });
  }

  #close(index: unknown): void {
    const block = this.#blocks.get(index);
    if (block === undefined) return;
    this.#blocks.delete(index);
    // A tool without arguments has no input, but callers parse the arguments.
    if (block.tool >= 0 && !block.hasInput) this.#input(block, "{}");
    if (block.search !== null) {
      this.#searches++;
      this.#send(searchMember([searchOf(jsonIn(block.search))]));
    }
    if (block.citations.length > 0) this.#send(citedIn(block.citations, block.from, this.#textLength));
    const thinking = { type: "thinking", thinking: block.thinking, signature: block.signature };
    const redacted = { type: "redacted_thinking", data: Buffer.concat(block.redacted).toString("base64") };
    const signed = [thinking, redacted].filter(isSigned);
    if (signed.length > 0) this.#send({ thinking_blocks: signed });
  }

  #stop(native: unknown, stop: unknown): void {
    if (this.#stopped) return;
    this.#stopped = true;
    if (isMalformed(native)) {
      this.#emit(streamFailure("upstream_invalid_response", malformedText));
      return;
    }
    for (const index of [...this.#blocks.keys()]) this.#close(index);
    const reason = finishReason(native, this.#tools > 0);
    this.#emit({
      kind: "finish",
      choice: 0,
      reason,
      ...(typeof native === "string" && native !== reason ? { native } : {}),
      ...(typeof stop === "string" ? { stopSequence: stop } : {}),
    });
    if (this.#metadata) this.#emit({ kind: "end" });
  }

  /** Comes after the stop event, and is the last event. */
  #end(usage: unknown, tier: unknown): void {
    const decoded = this.#metadata ? null : decodeUsage(usage, tier, this.#searches);
    this.#metadata = true;
    if (decoded !== null) this.#emit({ kind: "usage", usage: decoded });
    if (this.#stopped) this.#emit({ kind: "end" });
  }
}

export function converseDecoder(): ChatStreamDecoder {
  return new ConverseDecoder();
}
