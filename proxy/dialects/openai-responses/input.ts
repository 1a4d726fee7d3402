/**
 * `instructions` and `input` → canonical messages. An assistant turn is several items in this format and one message in
 * the canonical one.
 */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { type ChatMessage, type ContentPart, isRefusal, type Refusal, refusal } from "../canonical.ts";
import * as is from "../check.ts";
import { freeformArguments } from "../freeform.ts";
import { contentOf, openAiOnly, partsOf, textOf } from "./content.ts";
import { isGatewaysItem } from "./made-items.ts";
import { unpackThinking } from "./thinking.ts";
import { flatName } from "./tools.ts";

const roles = is.oneOf("user", "assistant", "system", "developer");

class Conversation {
  readonly messages: ChatMessage[] = [];
  /** Images in tool results. They follow as a user message after all results of the turn. */
  #moved: ContentPart[] = [];

  #flush(): void {
    if (this.#moved.length > 0) this.messages.push({ role: "user", content: this.#moved });
    this.#moved = [];
  }

  #push(message: ChatMessage): void {
    this.#flush();
    this.messages.push(message);
  }

  /** The current assistant turn, or a new one. */
  #turn(): ChatMessage {
    const last = this.messages.at(-1);
    if (last?.role === "assistant") return last;
    const turn: ChatMessage = { role: "assistant", content: null };
    this.#push(turn);
    return turn;
  }

  message(item: JsonObject, param: string): Refusal | null {
    const problem = roles(item["role"], `${param}.role`);
    if (problem) return problem;
    const parts = partsOf(item["content"], `${param}.content`);
    if (isRefusal(parts)) return parts;
    const role = item["role"] as "user" | "assistant" | "system" | "developer";
    if (role === "assistant") this.#said(parts);
    else this.#push({ role, content: contentOf(parts) });
    return null;
  }

  #said(parts: readonly ContentPart[]): void {
    if (typeof this.messages.at(-1)?.content === "string") this.#push({ role: "assistant", content: null });
    const turn = this.#turn();
    turn.content = textOf(parts, "text");
    const refused = textOf(parts, "refusal");
    if (refused !== "") turn.refusal = refused;
  }

  functionCall(item: JsonObject, param: string): Refusal | null {
    const problem = is.first(["call_id", "name", "arguments"], (name) =>
      is.required(item, name, is.aString, `${param}.`),
    );
    if (problem) return problem;
    const { call_id: id, name, arguments: text } = item as { call_id: string; name: string; arguments: string };
    this.#call(id, flatName(item["namespace"], name), text);
    return null;
  }

  customToolCall(item: JsonObject, param: string): Refusal | null {
    const problem = is.first(["call_id", "name", "input"], (name) => is.required(item, name, is.aString, `${param}.`));
    if (problem) return problem;
    const { call_id: id, name, input } = item as { call_id: string; name: string; input: string };
    this.#call(id, flatName(item["namespace"], name), freeformArguments(input));
    return null;
  }

  /** A picture that the model made. */
  image(item: JsonObject): Refusal | null {
    const { result: data } = item;
    if (typeof data !== "string" || data === "") return null;
    const turn = this.#turn();
    const url = `data:${imageType(data)};base64,${data}`;
    turn.images = [...(turn.images ?? []), { type: "image_url", image_url: { url } }];
    return null;
  }

  #call(id: string, name: string, text: string): void {
    const turn = this.#turn();
    turn.tool_calls = [...(turn.tool_calls ?? []), { id, type: "function", function: { name, arguments: text } }];
  }

  functionCallOutput(item: JsonObject, param: string): Refusal | null {
    const problem = is.required(item, "call_id", is.aString, `${param}.`);
    if (problem) return problem;
    const parts = partsOf(item["output"], `${param}.output`);
    if (isRefusal(parts)) return parts;
    this.messages.push({ role: "tool", tool_call_id: item["call_id"] as string, content: textOf(parts, "text") });
    this.#moved.push(...parts.filter((part) => part.type !== "text"));
    return null;
  }

  /** Reasoning that OpenAI encrypted is useless to other providers and is dropped. */
  reasoning(item: JsonObject): Refusal | null {
    const blocks = unpackThinking(item["encrypted_content"]);
    const text = [item["summary"], item["content"]]
      .flatMap((list) => (Array.isArray(list) ? list : []))
      .filter(isObject)
      .map((part) => (typeof part["text"] === "string" ? part["text"] : ""))
      .join("\n");
    if (blocks.length === 0 && text === "") return null;
    const turn = this.#reasoningTurn();
    if (blocks.length > 0) turn.thinking_blocks = [...(turn.thinking_blocks ?? []), ...blocks];
    else turn.reasoning_content = (turn.reasoning_content ?? "") + text;
    return null;
  }

  /** Reasoning comes before what it led to, so reasoning after text or calls begins a new turn. */
  #reasoningTurn(): ChatMessage {
    const last = this.messages.at(-1);
    if (last?.role === "assistant" && (last.tool_calls !== undefined || last.content !== null))
      this.#push({ role: "assistant", content: null });
    return this.#turn();
  }

  end(): ChatMessage[] {
    this.#flush();
    // Providers don't accept a message that has only reasoning.
    return this.messages.filter(
      ({ role, content, tool_calls, images }) =>
        role !== "assistant" || content !== null || tool_calls !== undefined || images !== undefined,
    );
  }
}

/** How base64 of each type begins: the item doesn't name it. */
const imageHeads: Readonly<Record<string, string>> = {
  "/9j/": "image/jpeg",
  R0lG: "image/gif",
  UklG: "image/webp",
};
const imageType = (data: string): string => imageHeads[data.slice(0, 4)] ?? "image/png";

type ReadItem = (conversation: Conversation, item: JsonObject, param: string) => Refusal | null;

const items: Readonly<Record<string, ReadItem>> = {
  message: (conversation, item, param) => conversation.message(item, param),
  function_call: (conversation, item, param) => conversation.functionCall(item, param),
  function_call_output: (conversation, item, param) => conversation.functionCallOutput(item, param),
  custom_tool_call: (conversation, item, param) => conversation.customToolCall(item, param),
  custom_tool_call_output: (conversation, item, param) => conversation.functionCallOutput(item, param),
  reasoning: (conversation, item) => conversation.reasoning(item),
  image_generation_call: (conversation, item) => conversation.image(item),
  // The tools in it are among those of the request.
  additional_tools: () => null,
  item_reference: (_conversation, item, param) => (isGatewaysShow(item["id"]) ? null : unknownItem(param, item["id"])),
};

/** References that could be resolved are gone by now. */
const unknownItem = (param: string, id: unknown): Refusal =>
  isGatewaysItem(id)
    ? refusal(
        `${param}.id`,
        "The item that is referred to is no longer known. Send items whole: set `store` to false, so that your SDK does.",
        "invalid_value",
      )
    : openAiOnly(`${param}.type`);

/** Reasoning and searches as the gateway's own answers show them: providers without signatures don't need them. */
const isGatewaysShow = (id: unknown): boolean => isGatewaysItem(id) && /^(rs|ws)_/.test(String(id));

/** Calls of tools that OpenAI runs, and what belongs to them: other models can't read them. */
const hosted =
  /^(web_search|file_search|computer|code_interpreter|local_shell|shell|apply_patch|mcp|tool_search|mcp_list_tools|mcp_approval_request|mcp_approval_response|program)(_call)?(_output)?$/;

/** Types of the items that are left out. */
export function leftOutItems({ input }: JsonObject): string[] {
  const own = objectsIn(input).filter((item) => !isGatewaysShow(item["id"]));
  const types = own.map((item) => String(item["type"]));
  return [...new Set(types.filter((type) => hosted.test(type)))];
}

/** Reads `instructions` and `input` of a body. */
export function decodeInput(body: JsonObject): ChatMessage[] | Refusal {
  const conversation = new Conversation();
  const input = body["input"];
  if (typeof body["instructions"] === "string" && body["instructions"] !== "")
    conversation.messages.push({ role: "system", content: body["instructions"] });
  if (typeof input === "string") return [...conversation.messages, { role: "user", content: input }];
  const problem = is.required(body, "input", (value, param) =>
    is.objects((item, path) => {
      const type = typeof item["type"] === "string" ? item["type"] : "message";
      const read = Object.hasOwn(items, type) ? items[type] : undefined;
      if (read !== undefined) return read(conversation, item, path);
      return hosted.test(type) ? null : openAiOnly(`${path}.type`);
    })(value, param),
  );
  if (problem) return problem;
  const messages = conversation.end();
  return messages.length === 0 ? is.invalid("input", "a text or a list with at least one message") : messages;
}
