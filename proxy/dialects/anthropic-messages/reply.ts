/** Canonical answer → a Messages object (https://platform.claude.com/docs/en/api/messages). */
import type { JsonObject } from "../../wire/json.ts";
import { orderOf } from "../block-order.ts";
import type { ChatChoice, ChatReply, FinishReason, ToolCall } from "../canonical.ts";
import { citedPieces, type PlacedCitation, placedCitations } from "../citations.ts";
import type { ReplyContext } from "../dialect.ts";
import { searchBlocks, webSearches } from "../web-search.ts";
import { inputOf } from "./blocks.ts";
import { encodeUsage } from "./usage.ts";

const stopReasons: Readonly<Record<FinishReason, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
  function_call: "tool_use",
  content_filter: "refusal",
};

/** Stop reasons that only Anthropic has, kept if the provider sent them. */
const ownReasons: ReadonlySet<string> = new Set([
  "stop_sequence",
  "pause_turn",
  "compaction",
  "model_context_window_exceeded",
]);

export function stopReason(reason: FinishReason, native: string | undefined, refused: boolean): string {
  if (native !== undefined && ownReasons.has(native)) return native;
  return refused && reason === "stop" ? "refusal" : stopReasons[reason];
}

export function messageObject(id: string, context: ReplyContext, content: JsonObject[]): JsonObject {
  return {
    id,
    type: "message",
    role: "assistant",
    model: context.model,
    content,
    stop_reason: null,
    stop_sequence: null,
    usage: encodeUsage(null),
  };
}

/** A picture that the model made, in the form in which the client returns it. */
export function imageBlock(url: string): JsonObject {
  const [, media_type = "image/png", data = ""] = /^data:([^;,]+);base64,(.*)$/s.exec(url) ?? [];
  return { type: "image", source: { type: "base64", media_type, data } };
}

const textBlocks = (text: string): JsonObject[] => (text === "" ? [] : [{ type: "text", text }]);

/** A text that begins at `from` in the message's, in pieces with what they cite. */
function citedBlocks(text: string, from: number, citations: readonly PlacedCitation[]): JsonObject[] {
  if (citations.length === 0) return textBlocks(text);
  const own = citations.map((placed) => ({ ...placed, start: placed.start - from, end: placed.end - from }));
  return citedPieces(
    text,
    own.filter(({ start }) => start >= 0),
  ).map(({ text: piece, cited }) => ({
    type: "text",
    text: piece,
    ...(cited.length > 0 ? { citations: cited } : {}),
  }));
}

/** The text with what it cites, and a refusal. Without citations they are one block. */
function saidBlocks(message: ChatChoice["message"], citations: readonly PlacedCitation[]): JsonObject[] {
  const text = message.content ?? "";
  const refused = message.refusal ?? "";
  if (citations.length === 0) return textBlocks(text + refused);
  return [...citedBlocks(text, 0, citations), ...textBlocks(refused)];
}

const toolUse = ({ id, function: { name, arguments: args } }: ToolCall): JsonObject => ({
  type: "tool_use",
  id,
  name,
  input: inputOf(args),
});

/** Searches come before the text that uses what they found. */
function contentOf(message: ChatChoice["message"], answer: string): JsonObject[] {
  const searched = (message[webSearches] ?? []).flatMap((search, index) => searchBlocks(search, answer, index));
  return [...searched, ...saidIn(message)];
}

function saidIn(message: ChatChoice["message"]): JsonObject[] {
  const { thinking_blocks: signed = [], tool_calls: calls = [], reasoning_content: reasoning, images = [] } = message;
  const pictures = images.map(({ image_url }) => imageBlock(image_url.url));
  const citations = placedCitations(message);
  const order = orderOf(message);
  if (order !== null) {
    let from = 0;
    const inOrder = order.flatMap((block): JsonObject[] => {
      if (block.kind === "text") {
        from += block.text.length;
        return citedBlocks(block.text, from - block.text.length, citations);
      }
      if (block.kind === "thinking") return signed.slice(block.index, block.index + 1);
      return calls.slice(block.index, block.index + 1).map(toolUse);
    });
    return [...inOrder, ...textBlocks(message.refusal ?? ""), ...pictures];
  }
  const unsigned = signed.length === 0 && reasoning ? [{ type: "thinking", thinking: reasoning, signature: "" }] : [];
  return [...signed, ...unsigned, ...saidBlocks(message, citations), ...pictures, ...calls.map(toolUse)];
}

/** Anthropic's format has one answer per request, so only the first choice is used. */
export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  const [choice] = reply.choices;
  const message = choice?.message;
  const id = reply.id || context.fallbackId;
  const content = message === undefined ? [] : contentOf(message, id);
  const stop = choice?.stop_sequence;
  const native = stop === undefined ? choice?.native_finish_reason : "stop_sequence";
  return {
    ...messageObject(id, context, content),
    stop_reason: stopReason(choice?.finish_reason ?? "stop", native, Boolean(message?.refusal)),
    stop_sequence: stop ?? null,
    usage: encodeUsage(reply.usage),
  };
}
