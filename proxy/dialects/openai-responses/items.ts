/** Output items of a Response (https://platform.openai.com/docs/api-reference/responses/object). */
import type { JsonObject } from "../../wire/json.ts";
import { type OrderedBlock, orderOf } from "../block-order.ts";
import type { ChatChoice, ToolCall } from "../canonical.ts";
import { type Citation, citationsIn, partAnnotation } from "../citations.ts";
import { freeformInput } from "../freeform.ts";
import { type WebSearch, webSearches } from "../web-search.ts";
import { itemId } from "./made-items.ts";
import { packThinking } from "./thinking.ts";
import type { ClientTool } from "./tools.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export function outputText(text: string, annotations: JsonObject[] = [], logprobs: unknown[] = []): JsonObject {
  return { type: "output_text", text, annotations, logprobs };
}

export function messageItem(id: string, status: ItemStatus, content: JsonObject[]): JsonObject {
  return { id, type: "message", status, role: "assistant", content };
}

/** A picture that the model made; null while it isn't there yet. Its data stands alone, without a data URL's head. */
export function imageItem(id: string, status: ItemStatus, url: string | null): JsonObject {
  return { id, type: "image_generation_call", status, result: url === null ? null : url.slice(url.indexOf(",") + 1) };
}

/** A search that the provider made. It is over once it is known, whatever becomes of the answer. */
export function searchItem(id: string, status: ItemStatus, { query, pages }: WebSearch): JsonObject {
  const sources = pages.map(({ url }) => ({ type: "url", url }));
  const action = { type: "search", query, ...(sources.length > 0 ? { sources } : {}) };
  return { id, type: "web_search_call", status: status === "incomplete" ? "completed" : status, action };
}

/** A call of a tool, under the name and in the form in which the client knows it. */
export function callItem(id: string, status: ItemStatus, call: CalledTool): JsonObject {
  const { callId, client, name, text } = call;
  const shared = { id, status, call_id: callId, name: client?.name ?? name };
  const namespace = client?.namespace == null ? {} : { namespace: client.namespace };
  return client?.isFreeform === true
    ? { ...shared, type: "custom_tool_call", ...namespace, input: freeformInput(text) }
    : { ...shared, type: "function_call", ...namespace, arguments: text };
}

export interface CalledTool {
  callId: string;
  /** In the canonical request. */
  name: string;
  /** JSON text of the arguments. */
  text: string;
  /** Absent for an ordinary function. */
  client: ClientTool | undefined;
}

/** Reasoning is shown as a summary, where clients look for it. */
export function reasoningItem(id: string, text: string, blocks: readonly JsonObject[]): JsonObject {
  return {
    id,
    type: "reasoning",
    summary: text === "" ? [] : [{ type: "summary_text", text }],
    ...(blocks.length > 0 ? { encrypted_content: packThinking(blocks) } : {}),
  };
}

function thinkingText(blocks: readonly JsonObject[]): string {
  return blocks.map((block) => (typeof block["thinking"] === "string" ? block["thinking"] : "")).join("");
}

/** OpenAI's chat has log probabilities in `{content: […]}`; Responses has them next to the text. */
function logprobsOf(logprobs: unknown): unknown[] {
  const content = (logprobs as { content?: unknown } | null | undefined)?.content;
  return Array.isArray(content) ? content : [];
}

class Items {
  readonly list: JsonObject[] = [];
  /** Length of the texts so far. */
  #from = 0;
  /** Those that no text has yet, the last position first. */
  readonly #citations: Citation[];
  readonly #id: string;
  readonly #status: ItemStatus;
  readonly #tools: ReadonlyMap<string, ClientTool>;

  constructor(id: string, status: ItemStatus, tools: ReadonlyMap<string, ClientTool>, annotations: unknown) {
    this.#citations = citationsIn(annotations).sort((citation, other) => other.start - citation.start);
    this.#id = id;
    this.#status = status;
    this.#tools = tools;
  }

  #next(prefix: string): string {
    return itemId(prefix, this.#id, this.list.length);
  }

  thinking(blocks: readonly JsonObject[], text = thinkingText(blocks)): void {
    if (text !== "" || blocks.length > 0) this.list.push(reasoningItem(this.#next("rs"), text, blocks));
  }

  message(content: JsonObject[]): void {
    if (content.length > 0) this.list.push(messageItem(this.#next("msg"), this.#status, content));
  }

  text(text: string, logprobs: unknown[] = []): JsonObject {
    const from = this.#from;
    this.#from += text.length;
    const annotations: JsonObject[] = [];
    for (
      let next = this.#citations.at(-1);
      next !== undefined && next.start < this.#from;
      next = this.#citations.at(-1)
    ) {
      annotations.push(partAnnotation(next, from));
      this.#citations.pop();
    }
    return outputText(text, annotations, logprobs);
  }

  call({ id: callId, function: { name, arguments: text } }: ToolCall): void {
    const client = this.#tools.get(name);
    const id = this.#next(client?.isFreeform ? "ctc" : "fc");
    this.list.push(callItem(id, this.#status, { callId, name, text, client }));
  }

  searches({ [webSearches]: searches = [] }: ChatChoice["message"]): void {
    for (const search of searches) this.list.push(searchItem(this.#next("ws"), this.#status, search));
  }

  images({ images = [] }: ChatChoice["message"]): void {
    for (const { image_url } of images) this.list.push(imageItem(this.#next("ig"), this.#status, image_url.url));
  }

  block(block: OrderedBlock, message: ChatChoice["message"]): void {
    const { thinking_blocks: signed = [], tool_calls: calls = [] } = message;
    if (block.kind === "text") this.message([this.text(block.text)]);
    else if (block.kind === "thinking") this.thinking(signed.slice(block.index, block.index + 1));
    else for (const call of calls.slice(block.index, block.index + 1)) this.call(call);
  }
}

/** Items of a whole answer, in the order the model produced them. */
export function itemsOf(
  choice: ChatChoice,
  id: string,
  status: ItemStatus,
  tools: ReadonlyMap<string, ClientTool>,
): JsonObject[] {
  const { message } = choice;
  const items = new Items(id, status, tools, message["annotations"]);
  const refusals = message.refusal ? [{ type: "refusal", refusal: message.refusal }] : [];
  const order = orderOf(message);
  items.searches(message);
  if (order !== null) {
    for (const block of order) items.block(block, message);
    items.message(refusals);
    items.images(message);
    return items.list;
  }
  const blocks = message.thinking_blocks ?? [];
  items.thinking(blocks, message.reasoning_content ?? thinkingText(blocks));
  const texts = message.content ? [items.text(message.content, logprobsOf(choice.logprobs))] : [];
  items.message([...texts, ...refusals]);
  items.images(message);
  for (const call of message.tool_calls ?? []) items.call(call);
  return items.list;
}
