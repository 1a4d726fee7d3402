/** A Messages object → canonical answer (https://platform.claude.com/docs/en/api/messages/create). */

import { decodeUsage } from "../../dialects/anthropic-messages/usage.ts";
import { type OrderedBlock, orderIn } from "../../dialects/block-order.ts";
import type { ChatChoice, ChatReply, FinishReason, ProviderError, ToolCall } from "../../dialects/canonical.ts";
import { chatAnnotation, claudeCitations, type PlacedCitation, webAddress } from "../../dialects/citations.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { judgeReply } from "../../dialects/verdict/answer.ts";
import { searchMember, type WebSearch } from "../../dialects/web-search.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";
import { errorInAnswer } from "../errors.ts";
import { isSigned } from "./blocks.ts";
import { decodeError } from "./failure.ts";

export const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** `pause_turn` and `compaction`: the turn was cut short, and only its caller can continue it. */
const finishReasons: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  pause_turn: "length",
  compaction: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool_calls",
  refusal: "content_filter",
};

export function finishReason(native: unknown, calledTools: boolean): FinishReason {
  const mapped = typeof native === "string" && Object.hasOwn(finishReasons, native) ? finishReasons[native] : undefined;
  return mapped ?? (calledTools ? "tool_calls" : "stop");
}

/** The provider's own reason, if it differs. */
export function nativeReason(native: unknown, reason: FinishReason): string | null {
  return typeof native === "string" && native !== reason ? native : null;
}

/** Why the model refused, if the answer says so. */
export function refusalOf(details: unknown): string {
  return isObject(details) ? text(details["explanation"]) : "";
}

function toolCall(block: JsonObject): ToolCall {
  const args = JSON.stringify(isObject(block["input"]) ? block["input"] : {});
  return {
    id: text(block["id"]),
    type: "function",
    function: { name: text(block["name"]), arguments: args },
  };
}

function joined(blocks: readonly JsonObject[], type: string, member: string): string {
  return blocks
    .filter((block) => block["type"] === type)
    .map((block) => text(block[member]))
    .join("");
}

function kindOf(block: JsonObject): OrderedBlock["kind"] | null {
  if (isSigned(block)) return "thinking";
  return block["type"] === "text" ? "text" : block["type"] === "tool_use" ? "call" : null;
}

/** Pages that a text cites (https://platform.claude.com/docs/en/build-with-claude/citations). `length`: of the text. */
function citedPages(citations: unknown, from: number, length: number): JsonObject[] {
  return objectsIn(citations).flatMap((cited) => {
    const url = webAddress(cited["url"] ?? cited["source"]);
    if (url === null) return [];
    return [chatAnnotation({ url, title: text(cited["title"]), start: from, end: from + length })];
  });
}

/** Citations of a text, in both forms. */
export function citedIn(citations: unknown, from: number, length: number) {
  const annotations = citedPages(citations, from, length);
  const placed = objectsIn(citations).map(
    (citation): PlacedCitation => ({ start: from, end: from + length, citation }),
  );
  return {
    ...(annotations.length > 0 ? { annotations } : {}),
    ...(placed.length > 0 ? { [claudeCitations]: placed } : {}),
  };
}

function citationsOf(blocks: readonly JsonObject[]): ReturnType<typeof citedIn> {
  let from = 0;
  const cited = blocks.flatMap((block) => {
    if (block["type"] !== "text") return [];
    const { length } = text(block["text"]);
    from += length;
    return [citedIn(block["citations"], from - length, length)];
  });
  const annotations = cited.flatMap((block) => block.annotations ?? []);
  const placed = cited.flatMap((block) => block[claudeCitations] ?? []);
  return {
    ...(annotations.length > 0 ? { annotations } : {}),
    ...(placed.length > 0 ? { [claudeCitations]: placed } : {}),
  };
}

/** A search's own block, and the one with what it found; null if the block is of another kind. */
export function searchIn(block: JsonObject, found: JsonObject | undefined): WebSearch | null {
  if (block["type"] !== "server_tool_use" || block["name"] !== "web_search") return null;
  const input = isObject(block["input"]) ? block["input"] : {};
  const pages = objectsIn(found?.["content"]).flatMap((page) => {
    const url = webAddress(page["url"]);
    return url === null ? [] : [{ url, title: text(page["title"]) }];
  });
  return { query: text(input["query"]), pages };
}

const searchesIn = (blocks: readonly JsonObject[]): WebSearch[] =>
  blocks.flatMap((block) => {
    const found = blocks.find(({ type, tool_use_id: of }) => type === "web_search_tool_result" && of === block["id"]);
    return searchIn(block, found) ?? [];
  });

function choiceOf(body: JsonObject, blocks: readonly JsonObject[]): ChatChoice {
  const calls = blocks.filter((block) => block["type"] === "tool_use").map(toolCall);
  const content = joined(blocks, "text", "text");
  const reasoning = joined(blocks, "thinking", "thinking");
  const signed = blocks.filter(isSigned);
  const refused = refusalOf(body["stop_details"]);
  const reason = finishReason(body["stop_reason"], calls.length > 0);
  const native = nativeReason(body["stop_reason"], reason);
  return {
    index: 0,
    message: {
      role: "assistant",
      content: content === "" ? null : content,
      ...citationsOf(blocks),
      ...(refused === "" ? {} : { refusal: refused }),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
      ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
      ...(signed.length > 0 ? { thinking_blocks: signed } : {}),
      ...searchMember(searchesIn(blocks)),
      ...orderIn(blocks, kindOf, (block) => text(block["text"])),
    },
    finish_reason: reason,
    ...(native === null ? {} : { native_finish_reason: native }),
    ...(typeof body["stop_sequence"] === "string" ? { stop_sequence: body["stop_sequence"] } : {}),
  };
}

export function decodeReply(body: unknown): ChatReply | ProviderError {
  const verdict = judgeReply("anthropic.messages", body);
  if (verdict.kind === "error") return errorInAnswer(verdict.body, decodeError);
  if (verdict.kind === "empty" || !isObject(body) || !Array.isArray(body["content"])) return invalidReply();
  return {
    id: text(body["id"]),
    created: 0,
    model: text(body["model"]),
    choices: [choiceOf(body, (body["content"] as unknown[]).filter(isObject))],
    usage: decodeUsage(body["usage"]),
  };
}
