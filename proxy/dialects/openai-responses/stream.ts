/**
 * Events → named and numbered Responses events (https://platform.openai.com/docs/api-reference/responses-streaming).
 * There is no `[DONE]`.
 */
import type { JsonObject } from "../../wire/json.ts";
import { type Block, type BlockKind, BlockQueue, type BlockWriter } from "../block-queue.ts";
import type { FinishReason, StreamEvent, Usage } from "../canonical.ts";
import { partAnnotation } from "../citations.ts";
import type { ChatStreamEncoder, ReplyContext } from "../dialect.ts";
import { freeformInput } from "../freeform.ts";
import { callItem, type ItemStatus, imageItem, messageItem, outputText, reasoningItem, searchItem } from "./items.ts";
import { itemId } from "./made-items.ts";
import { incompleteReason, type ResponseOutcome, responseObject } from "./reply.ts";
import { type ClientTool, clientTools } from "./tools.ts";

const prefixes: Readonly<Record<BlockKind, string>> = {
  text: "msg",
  refusal: "msg",
  thinking: "rs",
  redacted: "rs",
  tool: "fc",
  image: "ig",
  search: "ws",
  found: "ws",
};

/** A content part of a message or of a reasoning summary. */
interface PartForm {
  /** Position of the part in its item. */
  place: JsonObject;
  /** Names of the events around the part and of those for its text. */
  part: string;
  text: string;
  make(text: string, annotations: JsonObject[], logprobs: unknown[]): JsonObject;
  /** The field that holds the complete text. */
  field: string;
}

const parts: Readonly<Partial<Record<BlockKind, PartForm>>> = {
  text: { place: { content_index: 0 }, part: "content_part", text: "output_text", make: outputText, field: "text" },
  refusal: {
    place: { content_index: 0 },
    part: "content_part",
    text: "refusal",
    make: (refusal) => ({ type: "refusal", refusal }),
    field: "refusal",
  },
  thinking: {
    place: { summary_index: 0 },
    part: "reasoning_summary_part",
    text: "reasoning_summary_text",
    make: (text) => ({ type: "summary_text", text }),
    field: "text",
  },
};

function annotationsOf({ citations, from }: Block): JsonObject[] {
  return citations.map((citation) => partAnnotation(citation, from));
}

/** Members that only events for a message's text have. */
function logprobsMember(block: Block, logprobs: readonly unknown[]): JsonObject {
  return block.kind === "text" ? { logprobs } : {};
}

function signedBlocks(block: Block): JsonObject[] {
  if (block.data !== null) return [block.data];
  return block.signature === "" ? [] : [{ type: "thinking", thinking: block.text, signature: block.signature }];
}

export class ResponsesEncoder implements ChatStreamEncoder {
  readonly #context: ReplyContext;
  readonly #output: JsonObject[] = [];
  readonly #blocks: BlockQueue;
  readonly #tools: ReadonlyMap<string, ClientTool>;
  #id = "";
  #sequence = 0;
  #reason: FinishReason = "stop";
  #usage: Usage | null = null;

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#tools = clientTools(context.body ?? {});
    const writer: BlockWriter = {
      wholeTexts: true,
      findings: false,
      open: (block) => this.#open(block),
      delta: (block, text, logprobs) => this.#delta(block, text, logprobs),
      close: (block) => this.#close(block),
    };
    this.#blocks = new BlockQueue(writer);
  }

  encode(event: StreamEvent): string {
    switch (event.kind) {
      case "start":
        return this.#start(event.id);
      case "delta":
        return event.choice === 0 ? this.#start(null) + this.#blocks.add(event.delta, event.logprobs) : "";
      case "finish":
        if (event.choice === 0) this.#reason = event.reason;
        return "";
      case "usage":
        this.#usage = event.usage;
        return "";
      case "ping":
        return ": ping\n\n";
      case "end":
        return this.#start(null) + this.#blocks.end() + this.#end();
      case "error":
        return "";
    }
  }

  #frame(type: string, fields: JsonObject): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...fields })}\n\n`;
  }

  #response(outcome: ResponseOutcome): JsonObject {
    return { response: responseObject(this.#id, this.#context.createdSeconds, this.#context, outcome) };
  }

  #start(id: string | null): string {
    if (this.#id !== "") return "";
    this.#id = id || this.#context.fallbackId;
    const begun = this.#response({ status: "in_progress", reason: null, output: [], usage: null });
    return this.#frame("response.created", begun) + this.#frame("response.in_progress", begun);
  }

  #end(): string {
    const reason = incompleteReason(this.#reason);
    const status = reason === null ? "completed" : "incomplete";
    this.#context.keepItems?.(this.#output);
    return this.#frame(
      `response.${status}`,
      this.#response({ status, reason, output: this.#output, usage: this.#usage }),
    );
  }

  #isFreeform(block: Block): boolean {
    return block.kind === "tool" && this.#tools.get(block.name)?.isFreeform === true;
  }

  #itemId(block: Block): string {
    const prefix = this.#isFreeform(block) ? "ctc" : prefixes[block.kind];
    return itemId(prefix, this.#id, block.index);
  }

  #item(block: Block, status: ItemStatus, text: string): JsonObject {
    const id = this.#itemId(block);
    if (block.kind === "tool") {
      const { id: callId, name } = block;
      return callItem(id, status, { callId, name, text, client: this.#tools.get(name) });
    }
    const done = status !== "in_progress";
    if (block.kind === "thinking" || block.kind === "redacted")
      return reasoningItem(id, text, done ? signedBlocks(block) : []);
    if (block.kind === "image") return imageItem(id, status, done ? block.url : null);
    if (block.search !== null) return searchItem(id, status, block.search);
    const form = parts[block.kind];
    return messageItem(id, status, done && form ? [form.make(text, annotationsOf(block), block.logprobs)] : []);
  }

  #place(block: Block): JsonObject {
    return { item_id: this.#itemId(block), output_index: block.index, ...parts[block.kind]?.place };
  }

  #open(block: Block): string {
    const added = this.#frame("response.output_item.added", {
      output_index: block.index,
      item: this.#item(block, "in_progress", ""),
    });
    const form = parts[block.kind];
    if (block.kind === "image")
      return added + this.#frame("response.image_generation_call.in_progress", this.#place(block));
    if (block.kind === "search") {
      const place = this.#place(block);
      const begun = this.#frame("response.web_search_call.in_progress", place);
      return added + begun + this.#frame("response.web_search_call.searching", place);
    }
    return form
      ? added + this.#frame(`response.${form.part}.added`, { ...this.#place(block), part: form.make("", [], []) })
      : added;
  }

  #delta(block: Block, delta: string, logprobs: readonly unknown[]): string {
    // The text of a freeform call is within JSON, and is sent once that is complete.
    if (this.#isFreeform(block)) return "";
    const name = parts[block.kind]?.text ?? "function_call_arguments";
    return this.#frame(`response.${name}.delta`, { ...this.#place(block), delta, ...logprobsMember(block, logprobs) });
  }

  #close(block: Block): string {
    const item = this.#item(block, incompleteReason(this.#reason) === null ? "completed" : "incomplete", block.text);
    this.#output.push(item);
    return this.#whole(block) + this.#frame("response.output_item.done", { output_index: block.index, item });
  }

  #whole(block: Block): string {
    const place = this.#place(block);
    if (this.#isFreeform(block)) {
      const input = freeformInput(block.text);
      return (
        this.#frame("response.custom_tool_call_input.delta", { ...place, delta: input }) +
        this.#frame("response.custom_tool_call_input.done", { ...place, input })
      );
    }
    if (block.kind === "tool")
      return this.#frame("response.function_call_arguments.done", {
        ...place,
        name: this.#tools.get(block.name)?.name ?? block.name,
        arguments: block.text,
      });
    if (block.kind === "image") return this.#frame("response.image_generation_call.completed", place);
    if (block.kind === "search") return this.#frame("response.web_search_call.completed", place);
    const form = parts[block.kind];
    if (form === undefined) return "";
    const annotations = annotationsOf(block);
    const added = annotations.map((annotation, annotation_index) =>
      this.#frame("response.output_text.annotation.added", { ...place, annotation_index, annotation }),
    );
    const { text: words, logprobs } = block;
    const own = logprobsMember(block, logprobs);
    const text = this.#frame(`response.${form.text}.done`, { ...place, [form.field]: words, ...own });
    const part = this.#frame(`response.${form.part}.done`, { ...place, part: form.make(words, annotations, logprobs) });
    return added.join("") + text + part;
  }
}
