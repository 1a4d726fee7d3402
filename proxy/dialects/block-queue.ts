/**
 * Puts the deltas of a stream in an order in which blocks don't overlap, as Anthropic's and OpenAI's Responses streams
 * need it: the first block is written as it comes, others wait until it is over. Text and reasoning are over when
 * something else begins; a tool's block is over when its arguments are whole JSON, else at the end of the answer.
 */
import type { JsonObject } from "../wire/json.ts";
import type { StreamEvent } from "./canonical.ts";

export type BlockKind = "text" | "refusal" | "thinking" | "redacted" | "tool";

export interface Block {
  readonly kind: BlockKind;
  /** The choice's tool call; -1 for other kinds. */
  readonly tool: number;
  id: string;
  name: string;
  /** All that came so far: text, or a tool's arguments. */
  text: string;
  /** Of a thinking block, once it is known. */
  signature: string;
  /** Of a redacted block: the block itself. */
  data: JsonObject | null;
  /** Position among the blocks that were written. */
  index: number;
}

export interface BlockWriter {
  open(block: Block): string;
  delta(block: Block, text: string): string;
  close(block: Block): string;
}

interface Waiting {
  block: Block;
  opened: boolean;
  /** How much of `block.text` has been written. */
  written: number;
}

type Delta = Extract<StreamEvent, { kind: "delta" }>["delta"];

/** Worth a look only where the last character can end an object. */
function isWholeJson(text: string): boolean {
  if (!text.trimEnd().endsWith("}")) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export class BlockQueue {
  readonly #writer: BlockWriter;
  readonly #queue: Waiting[] = [];
  readonly #closedTools = new Set<number>();
  #next = 0;

  constructor(writer: BlockWriter) {
    this.#writer = writer;
  }

  /** Takes a delta in; the text that can be written now. */
  add(delta: Delta): string {
    if (delta.reasoning_content)
      this.#last("thinking", (block) => block.signature === "").text += delta.reasoning_content;
    for (const block of delta.thinking_blocks ?? []) this.#thinking(block);
    if (delta.content) this.#last("text").text += delta.content;
    if (delta.refusal) this.#last("refusal").text += delta.refusal;
    for (const call of delta.tool_calls ?? []) this.#tool(call);
    return this.#write(false);
  }

  /** Nothing more comes: what waits is written and closed. */
  end(): string {
    return this.#write(true);
  }

  #push(kind: BlockKind, tool = -1): Block {
    const block: Block = { kind, tool, id: "", name: "", text: "", signature: "", data: null, index: -1 };
    this.#queue.push({ block, opened: false, written: 0 });
    return block;
  }

  #last(kind: BlockKind, more: (block: Block) => boolean = () => true): Block {
    const last = this.#queue.at(-1)?.block;
    return last?.kind === kind && more(last) ? last : this.#push(kind);
  }

  /** A provider's signed block: the signature of the reasoning that was streamed before, or a block of its own. */
  #thinking(given: JsonObject): void {
    if (given["type"] === "redacted_thinking") {
      this.#push("redacted").data = given;
      return;
    }
    const block = this.#last("thinking", (one) => one.signature === "");
    if (block.text === "" && typeof given["thinking"] === "string") block.text = given["thinking"];
    if (typeof given["signature"] === "string") block.signature = given["signature"];
  }

  #tool(call: NonNullable<Delta["tool_calls"]>[number]): void {
    if (this.#closedTools.has(call.index)) return;
    const block = this.#queue.find((one) => one.block.tool === call.index)?.block ?? this.#push("tool", call.index);
    if (call.id) block.id = call.id;
    if (call.function?.name) block.name = call.function.name;
    block.text += call.function?.arguments ?? "";
  }

  #write(final: boolean): string {
    let out = "";
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const { block } = head;
      const nameless = block.kind === "tool" && block.name === "";
      if (!nameless) out += this.#show(head);
      const over = final || (this.#queue.length > 1 && (block.kind !== "tool" || isWholeJson(block.text)));
      if (!over) return out;
      // A call whose name never came can't be told to anyone.
      if (!nameless) out += this.#writer.close(block);
      if (block.kind === "tool") this.#closedTools.add(block.tool);
      this.#queue.shift();
    }
    return out;
  }

  #show(head: Waiting): string {
    let out = "";
    if (!head.opened) {
      head.opened = true;
      head.block.index = this.#next++;
      out += this.#writer.open(head.block);
    }
    if (head.written < head.block.text.length) {
      out += this.#writer.delta(head.block, head.block.text.slice(head.written));
      head.written = head.block.text.length;
    }
    return out;
  }
}
