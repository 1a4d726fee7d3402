/**
 * A Converse answer → canonical answer
 * (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax).
 */

import { type OrderedBlock, orderIn } from "../../dialects/block-order.ts";
import type { ChatChoice, ChatReply, FinishReason, ProviderError, ToolCall, Usage } from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { Counts, tierMode, withHidden } from "../../dialects/usage-counts.ts";
import { searchMember, type WebSearch, webSearches } from "../../dialects/web-search.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { isSigned } from "../anthropic/blocks.ts";
import { citationsOf } from "./citations.ts";

export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const object = (value: unknown): JsonObject => (isObject(value) ? value : {});

const finishReasons: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  content_filtered: "content_filter",
  guardrail_intervened: "content_filter",
};

/** The model's output was malformed, so there is no answer to pass on. */
const malformed: ReadonlySet<unknown> = new Set(["malformed_model_output", "malformed_tool_use"]);
export const malformedText = "The model's answer was malformed. Try again.";
export const isMalformed = (native: unknown): boolean => malformed.has(native);

export function finishReason(native: unknown, calledTools: boolean): FinishReason {
  const mapped = typeof native === "string" && Object.hasOwn(finishReasons, native) ? finishReasons[native] : undefined;
  return mapped ?? (calledTools ? "tool_calls" : "stop");
}

/**
 * `inputTokens` excludes cache reads and writes. Returns null if the value isn't a usage object. `cacheDetails` lists
 * one-hour writes separately (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html);
 * `tier` is outside the usage object.
 */
export function decodeUsage(usage: unknown, tier: unknown = null, webSearch = 0): Usage | null {
  if (!isObject(usage)) return null;
  const counts = new Counts();
  const cachedPrompt = counts.of(usage["cacheReadInputTokens"]);
  const writes = objectsIn(usage["cacheDetails"]);
  const hours = writes.filter((write) => write["ttl"] === "1h");
  const cacheWrite1h = hours.reduce((sum, write) => sum + counts.of(write["inputTokens"]), 0);
  const cacheWrite = Math.max(counts.of(usage["cacheWriteInputTokens"]), cacheWrite1h);
  const prompt = counts.of(usage["inputTokens"]) + cachedPrompt + cacheWrite;
  const completion = counts.of(usage["outputTokens"]);
  const hidden = withHidden({ prompt, completion, reasoning: 0 }, counts.of(usage["totalTokens"]));
  return counts.usage(
    { prompt, cachedPrompt, cacheWrite, ...hidden },
    { units: { cacheWrite1h, webSearch }, modes: [tierMode(isObject(tier) ? tier["type"] : tier)] },
  );
}

/** Reasoning in the form of Anthropic's block, so that it can be sent back to any provider of the same models. */
function thinkingBlock(content: JsonObject): JsonObject {
  if (typeof content["redactedContent"] === "string")
    return { type: "redacted_thinking", data: content["redactedContent"] };
  const reasoning = object(content["reasoningText"]);
  return {
    type: "thinking",
    thinking: shownReasoning(text(reasoning["text"])),
    signature: text(reasoning["signature"]),
  };
}

/** A tool that the model's provider runs. */
export const isOwnTool = (use: JsonObject): boolean => use["type"] === "server_tool_use";

/** The query. Nova reports results only in citations. */
export const searchOf = (input: unknown): WebSearch => ({ query: text(object(input)["query"]), pages: [] });

/** Nova 2 doesn't show its reasoning (https://docs.aws.amazon.com/nova/latest/nova2-userguide/reasoning-capabilities.html). */
export const shownReasoning = (words: string): string => (words === "[REDACTED]" ? "" : words);

function toolCall(use: JsonObject): ToolCall {
  const id = text(use["toolUseId"]);
  return {
    id,
    type: "function",
    function: { name: text(use["name"]), arguments: JSON.stringify(object(use["input"])) },
  };
}

function members(blocks: readonly JsonObject[], name: string): JsonObject[] {
  return blocks.map((block) => block[name]).filter(isObject);
}

function kindOf(block: JsonObject): OrderedBlock["kind"] | null {
  const { reasoningContent } = block;
  if (isObject(reasoningContent)) return isSigned(thinkingBlock(reasoningContent)) ? "thinking" : null;
  if (isObject(block["toolUse"])) return isOwnTool(block["toolUse"]) ? null : "call";
  return typeof block["text"] === "string" ? "text" : null;
}

function messageOf(blocks: readonly JsonObject[]): ChatChoice["message"] {
  const content = blocks.map((block) => text(block["text"])).join("");
  const uses = members(blocks, "toolUse");
  const calls = uses.filter((use) => !isOwnTool(use)).map(toolCall);
  const thinking = members(blocks, "reasoningContent").map(thinkingBlock);
  const reasoning = thinking.map((block) => text(block["thinking"])).join("");
  const signed = thinking.filter(isSigned);
  return {
    role: "assistant",
    content: content === "" ? null : content,
    ...citationsOf(blocks),
    ...searchMember(uses.filter(isOwnTool).map((use) => searchOf(use["input"]))),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(signed.length > 0 ? { thinking_blocks: signed } : {}),
    ...orderIn(blocks, kindOf, (block) => text(block["text"])),
  };
}

/** A text with its sources (https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CitationsContentBlock.html). */
function withCitedText(block: JsonObject): JsonObject {
  const { citationsContent: cited } = block;
  if (!isObject(cited) || !Array.isArray(cited["content"])) return block;
  return {
    text: cited["content"].map((part) => text(object(part)["text"])).join(""),
    citations: cited["citations"],
  };
}

/** The answer contains neither its id nor the model: `id` comes from a header, `model` from the request. */
export function decodeReply(body: unknown, id: string, model: string): ChatReply | ProviderError {
  const content = isObject(body) ? object(object(body["output"])["message"])["content"] : null;
  if (!isObject(body) || !Array.isArray(content)) return invalidReply();
  const native = body["stopReason"];
  if (isMalformed(native)) return invalidReply(malformedText);
  const message = messageOf((content as unknown[]).filter(isObject).map(withCitedText));
  const reason = finishReason(native, message.tool_calls !== undefined);
  const differs = typeof native === "string" && native !== reason ? { native_finish_reason: native } : {};
  return {
    id,
    created: 0,
    model,
    choices: [
      { index: 0, message, finish_reason: reason, ...differs, ...stopIn(body["additionalModelResponseFields"]) },
    ],
    usage: decodeUsage(body["usage"], body["serviceTier"], message[webSearches]?.length),
    ...tierOf(body["serviceTier"]),
  };
}

/** Of the fields that are asked for, as Claude names them. */
function stopIn(fields: unknown): { stop_sequence?: string } {
  const stop = object(fields)["stop_sequence"];
  return typeof stop === "string" ? { stop_sequence: stop } : {};
}

/** OpenAI's name for it. */
function tierOf(tier: unknown): { extra?: JsonObject } {
  const type = isObject(tier) ? tier["type"] : undefined;
  return typeof type === "string" ? { extra: { service_tier: type } } : {};
}
