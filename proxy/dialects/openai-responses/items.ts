/** Output items of a Response (https://platform.openai.com/docs/api-reference/responses/object). */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatChoice } from "../canonical.ts";
import { freeformInput } from "../freeform.ts";
import { itemId } from "./made-items.ts";
import { packThinking } from "./thinking.ts";
import type { ClientTool } from "./tools.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export function outputText(text: string, logprobs: unknown[] = []): JsonObject {
  return { type: "output_text", text, annotations: [], logprobs };
}

export function messageItem(id: string, status: ItemStatus, content: JsonObject[]): JsonObject {
  return { id, type: "message", status, role: "assistant", content };
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

/** Items of a whole answer, in the order the model produced them. */
export function itemsOf(
  choice: ChatChoice,
  id: string,
  status: ItemStatus,
  tools: ReadonlyMap<string, ClientTool>,
): JsonObject[] {
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
  for (const { id: callId, function: called } of message.tool_calls ?? []) {
    const client = tools.get(called.name);
    const { name, arguments: text } = called;
    items.push(callItem(next(client?.isFreeform ? "ctc" : "fc"), status, { callId, name, text, client }));
  }
  return items;
}
