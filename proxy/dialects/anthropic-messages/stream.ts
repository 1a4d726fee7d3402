/** Events → Anthropic's named events (https://platform.claude.com/docs/en/build-with-claude/streaming). */
import type { JsonObject } from "../../wire/json.ts";
import { type Block, BlockQueue, type BlockWriter } from "../block-queue.ts";
import type { StreamEvent, Usage } from "../canonical.ts";
import type { ChatStreamEncoder, ReplyContext } from "../dialect.ts";
import { estimatePromptTokens } from "../estimate.ts";
import { searchBlocks } from "../web-search.ts";
import { imageBlock, messageObject, stopReason } from "./reply.ts";
import { encodeUsage } from "./usage.ts";

function frame(event: JsonObject): string {
  return `event: ${String(event["type"])}\ndata: ${JSON.stringify(event)}\n\n`;
}

const starts: Readonly<Record<Block["kind"], (block: Block, answer: string) => JsonObject>> = {
  text: () => ({ type: "text", text: "" }),
  refusal: () => ({ type: "text", text: "" }),
  thinking: () => ({ type: "thinking", thinking: "", signature: "" }),
  redacted: (block) => block.data ?? { type: "redacted_thinking", data: "" },
  tool: (block) => ({ type: "tool_use", id: block.id || `toolu_${block.index}`, name: block.name, input: {} }),
  image: (block) => imageBlock(block.url),
  search: (block, answer) => ({ ...searchIn(block, answer)[0], input: {} }),
  found: (block, answer) => searchIn(block, answer)[1],
};

/** The search's block, and the following one with its results. */
const searchIn = ({ kind, search, index }: Block, answer: string): [JsonObject, JsonObject] =>
  searchBlocks(search ?? { query: "", pages: [] }, answer, kind === "found" ? index - 1 : index);

const deltas: Readonly<Record<Block["kind"], (text: string) => JsonObject>> = {
  text: (text) => ({ type: "text_delta", text }),
  refusal: (text) => ({ type: "text_delta", text }),
  thinking: (thinking) => ({ type: "thinking_delta", thinking }),
  redacted: () => ({}),
  image: () => ({}),
  search: () => ({}),
  found: () => ({}),
  tool: (partial_json) => ({ type: "input_json_delta", partial_json }),
};

/** `answer`: the answer's id. */
const writerOf = (answer: () => string): BlockWriter => ({
  wholeTexts: false,
  findings: true,
  open: (block) =>
    frame({ type: "content_block_start", index: block.index, content_block: starts[block.kind](block, answer()) }),
  delta: (block, text) => frame({ type: "content_block_delta", index: block.index, delta: deltas[block.kind](text) }),
  close(block) {
    const last = (delta: JsonObject): string => frame({ type: "content_block_delta", index: block.index, delta });
    const { signature, sources } = block;
    const query = block.kind === "search" ? JSON.stringify({ query: block.search?.query ?? "" }) : "";
    const input = query === "" ? "" : last({ type: "input_json_delta", partial_json: query });
    const signed = signature === "" ? "" : last({ type: "signature_delta", signature });
    const cited = sources.map((citation) => last({ type: "citations_delta", citation })).join("");
    return input + signed + cited + frame({ type: "content_block_stop", index: block.index });
  },
});

export class AnthropicEncoder implements ChatStreamEncoder {
  readonly #context: ReplyContext;
  readonly #blocks = new BlockQueue(writerOf(() => this.#id));
  #id = "";
  #started = false;
  #refused = false;
  #usage: Usage | null = null;
  #estimate: number | null = null;
  #finish: Extract<StreamEvent, { kind: "finish" }> | null = null;

  constructor(context: ReplyContext) {
    this.#context = context;
  }

  encode(event: StreamEvent): string {
    switch (event.kind) {
      case "start":
        return this.#start(event.id);
      case "delta":
        if (event.choice !== 0) return "";
        if (event.delta.refusal) this.#refused = true;
        return this.#start(null) + this.#blocks.add(event.delta);
      case "finish":
        if (event.choice === 0) this.#finish = event;
        return "";
      case "usage":
        this.#usage = event.usage;
        return "";
      case "ping":
        return frame({ type: "ping" });
      case "end":
        return this.#start(null) + this.#blocks.end() + this.#stop();
      case "error":
        return "";
    }
  }

  /** Providers report usage at the end. Until then, the prompt is estimated; `message_delta` corrects it. */
  #start(id: string | null): string {
    if (this.#started) return "";
    this.#started = true;
    this.#id = id ?? this.#context.fallbackId;
    const message = messageObject(this.#id, this.#context, []);
    return frame({ type: "message_start", message: { ...message, usage: this.#usageSoFar() } });
  }

  #usageSoFar(): JsonObject {
    if (this.#usage !== null) return encodeUsage(this.#usage);
    this.#estimate ??= estimatePromptTokens(this.#context.request);
    return { ...encodeUsage(null), input_tokens: this.#estimate };
  }

  #stop(): string {
    const { reason: finish = "stop", native, stopSequence: stop } = this.#finish ?? {};
    const reason = stopReason(finish, stop === undefined ? native : "stop_sequence", this.#refused);
    return (
      frame({
        type: "message_delta",
        delta: { stop_reason: reason, stop_sequence: stop ?? null },
        usage: this.#usageSoFar(),
      }) + frame({ type: "message_stop" })
    );
  }
}
