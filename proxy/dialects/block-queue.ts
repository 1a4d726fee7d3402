/**
 * Orders the deltas of a stream so that blocks don't overlap, as Anthropic's and OpenAI's Responses streams require.
 * The first block is written as it arrives; others wait until it is complete. Text and reasoning are complete when
 * another block begins. A tool's block is complete when its arguments are a whole JSON object, or else at the end of
 * the answer.
 */
import { isObject, type JsonObject } from "../wire/json.ts";
import type { StreamEvent } from "./canonical.ts";
import { type Citation, citationsIn, type PlacedCitation, placedCitations } from "./citations.ts";
import { type WebSearch, webSearches } from "./web-search.ts";

export type BlockKind = "text" | "refusal" | "thinking" | "redacted" | "tool" | "image" | "search" | "found";

export interface Block {
  readonly kind: BlockKind;
  /** The choice's tool call; -1 for other kinds. */
  readonly tool: number;
  id: string;
  name: string;
  /** All content received so far: a tool's arguments, or the text if the writer needs it. */
  text: string;
  /** Signature of a thinking block, once it has arrived. */
  signature: string;
  /** The redacted block itself. */
  data: JsonObject | null;
  /** A picture, as a data URL. */
  url: string;
  /** For the kinds `search` and `found`. */
  search: WebSearch | null;
  /** Length of the answer's text before this block. */
  readonly from: number;
  /** Pages that the text cites. */
  readonly citations: Citation[];
  /** What the text cites, in Anthropic's form. */
  readonly sources: JsonObject[];
  /** Log probabilities of the text's tokens, if the writer needs the text. */
  readonly logprobs: unknown[];
  /** Position among the blocks already written. */
  index: number;
}

export interface BlockWriter {
  /**
   * Whether `close` needs a block's text. If not, only tools' arguments are kept: a long answer would take memory until
   * its client has read it.
   */
  readonly wholeTexts: boolean;
  /** Whether a search's results are a separate block. */
  readonly findings: boolean;
  open(block: Block): string;
  /** `logprobs`: those of the tokens in this text. */
  delta(block: Block, text: string, logprobs: readonly unknown[]): string;
  close(block: Block): string;
}

interface Waiting {
  block: Block;
  opened: boolean;
  /** The part of `block.text` that hasn't been written yet. Slicing a growing string would copy all of it. */
  unwritten: string;
  /** Those of the unwritten part. */
  logprobs: unknown[];
  readonly json: JsonEnd;
}

type Delta = Extract<StreamEvent, { kind: "delta" }>["delta"];

/**
 * Whether a growing text is a complete JSON object. Examines each character once, and parses the whole text once when
 * its brackets first balance: a text that isn't an object then never becomes one.
 */
class JsonEnd {
  #depth = 0;
  #inText = false;
  #escaped = false;
  /** Whether the outermost bracket is closed. */
  #closed = false;
  #whole: boolean | null = null;

  add(piece: string): void {
    for (let index = 0; index < piece.length; index++) this.#take(piece[index] as string);
  }

  /** `text`: everything added so far. */
  isWhole(text: string): boolean {
    if (this.#closed) this.#whole ??= isJsonObject(text);
    return this.#whole === true;
  }

  #take(character: string): void {
    if (this.#inText) {
      if (this.#escaped) this.#escaped = false;
      else if (character === "\\") this.#escaped = true;
      else if (character === '"') this.#inText = false;
    } else if (character === '"') this.#inText = true;
    else if (character === "{" || character === "[") this.#depth++;
    else if (character === "}" || character === "]") this.#closed ||= --this.#depth <= 0;
  }
}

function isJsonObject(text: string): boolean {
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
  /** Tool calls in the queue, by index. */
  readonly #tools = new Map<number, Waiting>();
  readonly #closedTools = new Set<number>();
  #next = 0;
  #textLength = 0;

  constructor(writer: BlockWriter) {
    this.#writer = writer;
  }

  #append(waiting: Waiting, piece: string): void {
    const { block } = waiting;
    // If a text isn't kept, its first piece shows that there is one.
    if (this.#writer.wholeTexts || block.kind === "tool" || block.text === "") block.text += piece;
    waiting.unwritten += piece;
  }

  /** Adds a delta. Returns the text that can be written now. `logprobs`: of its content, as a chat's chunk has them. */
  add(delta: Delta, logprobs?: unknown): string {
    if (delta.reasoning_content)
      this.#append(
        this.#last("thinking", (block) => block.signature === ""),
        delta.reasoning_content,
      );
    for (const block of delta.thinking_blocks ?? []) this.#thinking(block);
    for (const search of delta[webSearches] ?? []) this.#search(search);
    if (delta.content) this.#text(delta.content, logprobs);
    this.#cite(citationsIn(delta.annotations), (block, citation) => block.citations.push(citation));
    this.#cite(placedCitations(delta), (block, { citation }) => block.sources.push(citation));
    if (delta.refusal) this.#append(this.#last("refusal"), delta.refusal);
    for (const image of delta.images ?? []) this.#push("image").block.url = image.image_url.url;
    for (const call of delta.tool_calls ?? []) this.#tool(call);
    return this.#write(false);
  }

  /** Ends the stream: writes and closes whatever is waiting. */
  end(): string {
    return this.#write(true);
  }

  #push(kind: BlockKind, tool = -1): Waiting {
    const from = this.#textLength;
    const open = { id: "", name: "", text: "", signature: "", data: null, url: "", search: null, index: -1 };
    const block: Block = { kind, tool, ...open, from, citations: [], sources: [], logprobs: [] };
    const waiting = { block, opened: false, unwritten: "", logprobs: [], json: new JsonEnd() };
    this.#queue.push(waiting);
    if (kind === "tool") this.#tools.set(tool, waiting);
    return waiting;
  }

  #last(kind: BlockKind, more: (block: Block) => boolean = () => true): Waiting {
    const last = this.#queue.at(-1);
    return last?.block.kind === kind && more(last.block) ? last : this.#push(kind);
  }

  #search(search: WebSearch): void {
    this.#push("search").block.search = search;
    if (this.#writer.findings) this.#push("found").block.search = search;
  }

  #text(content: string, logprobs: unknown): void {
    const waiting = this.#last("text");
    this.#append(waiting, content);
    this.#textLength += content.length;
    const own = isObject(logprobs) && Array.isArray(logprobs["content"]) ? (logprobs["content"] as unknown[]) : [];
    if (own.length === 0 || !this.#writer.wholeTexts) return;
    waiting.logprobs.push(...own);
    waiting.block.logprobs.push(...own);
  }

  /** A closed block accepts no more citations. */
  #cite<T extends Citation | PlacedCitation>(citations: readonly T[], add: (block: Block, citation: T) => void): void {
    for (const citation of citations) {
      const place = this.#queue.findLast(({ block }) => block.kind === "text" && block.from <= citation.start);
      if (place !== undefined) add(place.block, citation);
    }
  }

  /** A provider's signed block: the signature of reasoning already streamed, or a block of its own. */
  #thinking(given: JsonObject): void {
    if (given["type"] === "redacted_thinking") {
      this.#push("redacted").block.data = given;
      return;
    }
    const waiting = this.#last("thinking", (block) => block.signature === "");
    if (waiting.block.text === "" && typeof given["thinking"] === "string") this.#append(waiting, given["thinking"]);
    if (typeof given["signature"] === "string") waiting.block.signature = given["signature"];
  }

  #tool(call: NonNullable<Delta["tool_calls"]>[number]): void {
    if (this.#closedTools.has(call.index)) return;
    const waiting = this.#tools.get(call.index) ?? this.#push("tool", call.index);
    const { block } = waiting;
    if (call.id) block.id = call.id;
    if (call.function?.name) block.name = call.function.name;
    const piece = call.function?.arguments ?? "";
    this.#append(waiting, piece);
    waiting.json.add(piece);
  }

  #write(final: boolean): string {
    let out = "";
    for (let head = this.#queue[0]; head !== undefined; head = this.#queue[0]) {
      const { block } = head;
      const nameless = block.kind === "tool" && block.name === "";
      if (!nameless) out += this.#show(head);
      const over = final || (this.#queue.length > 1 && (block.kind !== "tool" || head.json.isWhole(block.text)));
      if (!over) return out;
      // A call without a name can't be sent to the client.
      if (!nameless) out += this.#writer.close(block);
      if (block.kind === "tool") {
        this.#closedTools.add(block.tool);
        this.#tools.delete(block.tool);
      }
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
    if (head.unwritten !== "") {
      out += this.#writer.delta(head.block, head.unwritten, head.logprobs);
      head.unwritten = "";
      head.logprobs = [];
    }
    return out;
  }
}
