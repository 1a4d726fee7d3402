/** Output items of a Response (https://platform.openai.com/docs/api-reference/responses/object). */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatChoice } from "../canonical.ts";
import { itemId } from "./made-items.ts";
import { packThinking } from "./thinking.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export function outputText(text: string, logprobs: unknown[] = []): JsonObject {
  return { type: "output_text", text, annotations: [], logprobs };
}

export function messageItem(id: string, status: ItemStatus, content: JsonObject[]): JsonObject {
  return { id, type: "message", status, role: "assistant", content };
}

export function callItem(id: string, status: ItemStatus, callId: string, name: string, text: string): JsonObject {
  return { id, type: "function_call", status, call_id: callId, name, arguments: text };
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

/** Items of a whole answer, in the order the model produced them. */
export function itemsOf(choice: ChatChoice, id: string, status: ItemStatus): JsonObject[] {
  const { message } = choice;
  const items: JsonObject[] = [];
  const next = (prefix: string): string => itemId(prefix, id, items.length);
  const blocks = message.thinking_blocks ?? [];
  const reasoning = message.reasoning_content ?? thinkingText(blocks);
  if (reasoning !== "" || blocks.length > 0) items.push(reasoningItem(next("rs"), reasoning, blocks));
  const content: JsonObject[] = [];
  if (message.content) content.push(outputText(message.content, logprobsOf(choice.logprobs)));
  if (message.refusal) content.push({ type: "refusal", refusal: message.refusal });
  if (content.length > 0) items.push(messageItem(next("msg"), status, content));
  for (const call of message.tool_calls ?? [])
    items.push(callItem(next("fc"), status, call.id, call.function.name, call.function.arguments));
  return items;
}
