/**
 * Canonical messages → Cohere's (https://docs.cohere.com/reference/chat), which differ from OpenAI's in names and in
 * what they may contain.
 */

import {
  type ChatMessage,
  type ContentPart,
  isRefusal,
  type Refusal,
  refusal,
  type ToolCall,
} from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";

function refusedPart(param: string): Refusal {
  return refusal(param, "Cohere accepts only text here, and images only in user messages.");
}

function textOf(content: string | ContentPart[] | null | undefined, param: string): string | Refusal {
  if (typeof content === "string") return content;
  const parts = content ?? [];
  const other = parts.findIndex((part) => part.type !== "text" && part.type !== "refusal");
  if (other >= 0) return refusedPart(`${param}[${other}]`);
  return parts.map((part) => (part.type === "text" ? part.text : part.type === "refusal" ? part.refusal : "")).join("");
}

function userContent(
  content: string | ContentPart[] | null | undefined,
  param: string,
): string | JsonObject[] | Refusal {
  if (!Array.isArray(content)) return content ?? "";
  const parts: JsonObject[] = [];
  for (const [index, part] of content.entries()) {
    if (part.type === "text") parts.push({ type: "text", text: part.text });
    else if (part.type === "image_url") parts.push({ type: "image_url", image_url: part.image_url });
    else return refusedPart(`${param}[${index}]`);
  }
  return parts;
}

function toolCall({ id, function: { name, arguments: args } }: ToolCall): JsonObject {
  const isNone = args.trim() === "" || args.trim() === "null";
  return { id, type: "function", function: { name, arguments: isNone ? "{}" : args } };
}

/** Reasoning is sent back only as the plan of a tool call, where every model accepts it. */
function assistant(message: ChatMessage, param: string): JsonObject | Refusal {
  const text = textOf(message.content, `${param}.content`);
  if (typeof text !== "string") return text;
  const calls = message.tool_calls ?? [];
  const words = text + (message.refusal ?? "");
  if (calls.length === 0) return { role: "assistant", content: words };
  return {
    role: "assistant",
    tool_calls: calls.map(toolCall),
    ...(message.reasoning_content ? { tool_plan: message.reasoning_content } : {}),
    ...(words === "" ? {} : { content: words }),
  };
}

function messageOf(message: ChatMessage, param: string): JsonObject | Refusal {
  if (message.role === "assistant") return assistant(message, param);
  if (message.role === "function")
    return refusal(`${param}.role`, "Cohere doesn't support function messages. Use `tool_calls` and the role tool.");
  const content =
    message.role === "user"
      ? userContent(message.content, `${param}.content`)
      : textOf(message.content, `${param}.content`);
  if (typeof content === "object" && isRefusal(content)) return content;
  if (message.role === "tool") return { role: "tool", tool_call_id: message.tool_call_id, content };
  return { role: message.role === "developer" ? "system" : message.role, content };
}

export function messagesOf(messages: readonly ChatMessage[], dropped: Set<string>): JsonObject[] | Refusal {
  const out: JsonObject[] = [];
  for (const [index, message] of messages.entries()) {
    const made = messageOf(message, `messages[${index}]`);
    if (isRefusal(made)) return made;
    if (message.name !== undefined && message.role !== "tool") dropped.add("messages.name");
    out.push(made);
  }
  return out;
}
