/** Canonical messages → items of a Responses body (https://platform.openai.com/docs/api-reference/responses/create). */
import { orderOf } from "../../../dialects/block-order.ts";
import type { ChatMessage, ContentPart, FilePart, ToolCall } from "../../../dialects/canonical.ts";
import type { JsonObject } from "../../../wire/json.ts";
import { reasoningOf } from "./reasoning.ts";

function partOf(part: ContentPart): JsonObject {
  switch (part.type) {
    case "text":
      return { type: "input_text", text: part.text };
    case "refusal":
      return { type: "input_text", text: part.refusal };
    case "image_url":
      return { type: "input_image", image_url: part.image_url.url, detail: part.image_url.detail ?? "auto" };
    case "file":
      return fileOf(part.file);
    default:
      return { ...part };
  }
}

function fileOf({ file_data: data, file_id, filename }: FilePart["file"]): JsonObject {
  if (file_id !== undefined) return { type: "input_file", file_id };
  return /^https?:/i.test(data ?? "")
    ? { type: "input_file", file_url: data }
    : { type: "input_file", filename: filename ?? "file", file_data: data };
}

const partsOf = (content: ChatMessage["content"]): JsonObject[] =>
  typeof content === "string" ? [{ type: "input_text", text: content }] : (content ?? []).map(partOf);

const isEmpty = (content: ChatMessage["content"]): boolean => (content ?? "").length === 0;

const said = (content: JsonObject[]): JsonObject[] =>
  content.length === 0 ? [] : [{ type: "message", role: "assistant", content }];

const textItem = (text: string): JsonObject[] => (text === "" ? [] : said([{ type: "output_text", text }]));

const outputPart = (part: ContentPart): JsonObject =>
  part.type === "refusal" ? { type: "refusal", refusal: part.refusal } : { type: "output_text", text: textIn(part) };

const textIn = (part: ContentPart): string => (part.type === "text" ? part.text : "");

function wordsOf({ content, refusal }: ChatMessage): JsonObject[] {
  const parts: JsonObject[] =
    typeof content === "string"
      ? [{ type: "output_text", text: content }].filter(({ text }) => text !== "")
      : (content ?? []).map(outputPart);
  return said([...parts, ...(refusal ? [{ type: "refusal", refusal }] : [])]);
}

const callItem = ({ id, function: { name, arguments: args } }: ToolCall): JsonObject => ({
  type: "function_call",
  call_id: id,
  name,
  arguments: args === "" ? "{}" : args,
});

const reasoningIn = (blocks: readonly JsonObject[], start: string): JsonObject[] =>
  blocks.map((block) => reasoningOf(block, start)).filter((item) => item !== null);

/** `start`: of the signatures that this model can read. */
function assistantItems(message: ChatMessage, start: string): JsonObject[] {
  const { thinking_blocks: blocks = [], tool_calls: calls = [] } = message;
  const order = orderOf(message);
  if (order === null) {
    const reasoning = reasoningIn(blocks, start);
    const own = [...wordsOf(message), ...calls.map(callItem)];
    // Reasoning without what it led to is refused.
    return own.length === 0 ? [] : [...reasoning, ...own];
  }
  return order.flatMap((block): JsonObject[] => {
    if (block.kind === "text") return textItem(block.text);
    if (block.kind === "call") return calls.slice(block.index, block.index + 1).map(callItem);
    return reasoningIn(blocks.slice(block.index, block.index + 1), start);
  });
}

function resultItem({ tool_call_id: id, content }: ChatMessage): JsonObject {
  const isText = typeof content === "string" || (content ?? []).every((part) => part.type === "text");
  const output = typeof content === "string" ? content : (content ?? []).map(textIn).join("\n");
  return { type: "function_call_output", call_id: id, output: isText ? output : partsOf(content) };
}

export function inputOf(messages: readonly ChatMessage[], start: string): JsonObject[] {
  return messages.flatMap((message): JsonObject[] => {
    if (message.role === "assistant") return assistantItems(message, start);
    if (message.role === "tool") return [resultItem(message)];
    return isEmpty(message.content) && message.role !== "user"
      ? []
      : [{ type: "message", role: message.role, content: partsOf(message.content) }];
  });
}
