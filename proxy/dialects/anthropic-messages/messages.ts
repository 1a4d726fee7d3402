/** Messages API messages → canonical messages. */
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { noteOrder, type OrderedBlock } from "../block-order.ts";
import {
  type ChatMessage,
  type ContentPart,
  isRefusal,
  type MessageImage,
  type Refusal,
  type ToolCall,
} from "../canonical.ts";
import * as is from "../check.ts";
import { isMadeSearch } from "../web-search.ts";
import { contentOf, inputText, joined, markOf, partOf, partsOf } from "./blocks.ts";

type Messages = ChatMessage[] | Refusal;

/** Blocks that tools at Anthropic left in an answer, which other models can't read. */
const hosted = /^(server_tool_use|mcp_tool_use|.+_tool_result|tool_reference|compaction|fallback)$/;
const isReadable = (block: unknown): boolean => !isObject(block) || !hosted.test(String(block["type"]));

/**
 * A tool result becomes a separate message. `is_error` has no OpenAI form: an error without text gets one, so that no
 * model reads it as an empty success.
 */
function toolResult(block: JsonObject, param: string): ChatMessage | Refusal {
  const problem = is.required(block, "tool_use_id", is.aString, `${param}.`);
  if (problem) return problem;
  const content = block["content"] ?? "";
  const parts = partsOf(Array.isArray(content) ? content.filter(isReadable) : content, `${param}.content`);
  if (isRefusal(parts)) return parts;
  const text = joined(parts, "\n");
  const failed = block["is_error"] === true;
  const isPlain = parts.every((part) => part.type === "text" && part.cache_control === undefined);
  return {
    role: "tool",
    tool_call_id: block["tool_use_id"] as string,
    content: isPlain ? (text === "" && failed ? "Error" : text) : parts,
    ...(failed ? { is_error: true } : {}),
    ...markOf(block),
  };
}

/** Tool results come first, in their order. The rest of the turn follows as a user message. */
function userTurn(content: unknown, param: string): Messages {
  if (typeof content === "string") return [{ role: "user", content }];
  if (!Array.isArray(content)) return is.invalid(param, "a string or a list of blocks");
  const results: ChatMessage[] = [];
  const parts: ContentPart[] = [];
  for (const [index, block] of (content as unknown[]).entries()) {
    if (!isReadable(block)) continue;
    const isResult = isObject(block) && block["type"] === "tool_result";
    const read = isResult ? toolResult(block, `${param}[${index}]`) : partOf(block, `${param}[${index}]`);
    if (isRefusal(read)) return read;
    if ("role" in read) results.push(read);
    else parts.push(read);
  }
  if (parts.length === 0 && results.length > 0) return results;
  return [...results, { role: "user", content: contentOf(parts) }];
}

interface AssistantTurn {
  texts: string[];
  calls: ToolCall[];
  /** Signed blocks, which a provider of Anthropic models gets back unchanged. */
  thinking: JsonObject[];
  /** Reasoning from another provider: it has no signature, and Anthropic would refuse it. */
  unsigned: string[];
  /** Made by the model. */
  images: MessageImage[];
  order: OrderedBlock[];
  mark: ReturnType<typeof markOf>;
}

type ReadBlock = (block: JsonObject, param: string, turn: AssistantTurn) => Refusal | null;

function signed(block: JsonObject, turn: AssistantTurn): void {
  turn.order.push({ kind: "thinking", index: turn.thinking.length });
  turn.thinking.push(block);
}

const assistantBlocks: Readonly<Record<string, ReadBlock>> = {
  text: (block, param, turn) => {
    const problem = is.required(block, "text", is.aString, `${param}.`);
    if (problem) return problem;
    turn.order.push({ kind: "text", text: block["text"] as string });
    turn.texts.push(block["text"] as string);
    return null;
  },
  tool_use: (block, param, turn) => {
    const problem =
      is.required(block, "id", is.aString, `${param}.`) ?? is.required(block, "name", is.aString, `${param}.`);
    if (problem) return problem;
    const name = String(block["name"]);
    turn.order.push({ kind: "call", index: turn.calls.length });
    turn.calls.push({
      id: String(block["id"]),
      type: "function",
      function: { name, arguments: inputText(block["input"]) },
    });
    return null;
  },
  thinking: (block, _param, turn) => {
    if (typeof block["signature"] === "string" && block["signature"] !== "") signed(block, turn);
    else if (typeof block["thinking"] === "string") turn.unsigned.push(block["thinking"]);
    return null;
  },
  redacted_thinking: (block, _param, turn) => {
    signed(block, turn);
    return null;
  },
  image: (block, param, turn) => {
    const part = partOf(block, param);
    if (isRefusal(part)) return part;
    if (part.type === "image_url") turn.images.push({ type: "image_url", image_url: { url: part.image_url.url } });
    return null;
  },
};

/** Types of the blocks that are left out. */
export function leftOutBlocks({ messages }: JsonObject): string[] {
  const turns = objectsIn(messages);
  const blocks = turns.flatMap(({ content }) => objectsIn(content)).filter((block) => !isMadeSearch(block));
  return [...new Set(blocks.map((block) => String(block["type"])).filter((type) => hosted.test(type)))];
}

function assistantTurn(content: unknown, param: string): Messages {
  if (typeof content === "string") return [{ role: "assistant", content }];
  const turn: AssistantTurn = { texts: [], calls: [], thinking: [], unsigned: [], images: [], order: [], mark: {} };
  const read = is.objects((block, path) => {
    const type = String(block["type"]);
    const own = Object.hasOwn(assistantBlocks, type) ? assistantBlocks[type] : undefined;
    Object.assign(turn.mark, markOf(block));
    if (own) return own(block, path, turn);
    if (!isReadable(block)) return null;
    const part = partOf(block, path);
    return isRefusal(part)
      ? part
      : is.invalid(`${path}.type`, `one of ${Object.keys(assistantBlocks).join(", ")} in an assistant's message`);
  });
  const problem = Array.isArray(content) ? read(content, param) : is.invalid(param, "a string or a list of blocks");
  if (problem) return problem;
  // The turn has nothing that other models can read, and providers refuse empty turns.
  const lists = [turn.texts, turn.calls, turn.thinking, turn.unsigned, turn.images];
  if (lists.every((list) => list.length === 0)) return [];
  return [
    {
      role: "assistant",
      content: turn.texts.length > 0 || turn.calls.length === 0 ? turn.texts.join("") : null,
      ...(turn.calls.length > 0 ? { tool_calls: turn.calls } : {}),
      ...(turn.images.length > 0 ? { images: turn.images } : {}),
      ...(turn.thinking.length > 0 ? { thinking_blocks: turn.thinking } : {}),
      ...(turn.unsigned.length > 0 ? { reasoning_content: turn.unsigned.join("") } : {}),
      ...(turn.thinking.length > 0 ? noteOrder(turn.order) : {}),
      ...turn.mark,
    },
  ];
}

/** Claude Code's accounting line, which changes with each request and would keep prefix caches from being hit. */
const billingLine = /^x-anthropic-billing-header:[^\n]*(?:\n|$)/i;

function withoutBilling(part: ContentPart): ContentPart[] {
  if (part.type !== "text" || !billingLine.test(part.text)) return [part];
  const text = part.text.replace(billingLine, "");
  return text === "" ? [] : [{ ...part, text }];
}

function systemTurn(content: unknown, param: string): Messages {
  const blocks = partsOf(content, param);
  if (isRefusal(blocks)) return blocks;
  const parts = blocks.flatMap(withoutBilling);
  const other = parts.findIndex((part) => part.type !== "text");
  if (other >= 0) return is.invalid(`${param}[${other}].type`, "text");
  if (parts.length === 0) return [];
  const isMarked = parts.some((part) => part.cache_control !== undefined);
  return [{ role: "system", content: isMarked ? parts : joined(parts, "\n\n") }];
}

const turns: Readonly<Record<string, (content: unknown, param: string) => Messages>> = {
  user: userTurn,
  assistant: assistantTurn,
  system: systemTurn,
};

/** Reads `system` and `messages` of a body. */
export function decodeMessages(body: JsonObject): Messages {
  const problem = is.required(
    body,
    "messages",
    is.objects(() => null),
  );
  if (problem) return problem;
  const given = body["messages"] as JsonObject[];
  if (given.length === 0) return is.invalid("messages", "a list with at least one message");
  const system = systemTurn(body["system"] ?? "", "system");
  if (isRefusal(system)) return system;
  const messages = system;
  for (const [index, raw] of given.entries()) {
    const role = String(raw["role"]);
    const turn = Object.hasOwn(turns, role) ? turns[role] : undefined;
    if (turn === undefined) return is.invalid(`messages[${index}].role`, "user or assistant");
    const read = turn(raw["content"], `messages[${index}].content`);
    if (isRefusal(read)) return read;
    messages.push(...read);
  }
  return messages;
}
