/** Canonical answer → a Messages object (https://platform.claude.com/docs/en/api/messages). */
import type { JsonObject } from "../../wire/json.ts";
import { orderOf } from "../block-order.ts";
import type { ChatChoice, ChatReply, FinishReason, ToolCall } from "../canonical.ts";
import type { ReplyContext } from "../dialect.ts";
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
const ownReasons: ReadonlySet<string> = new Set(["stop_sequence", "pause_turn", "model_context_window_exceeded"]);

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

const textBlocks = (text: string): JsonObject[] => (text === "" ? [] : [{ type: "text", text }]);

const toolUse = ({ id, function: { name, arguments: args } }: ToolCall): JsonObject => ({
  type: "tool_use",
  id,
  name,
  input: inputOf(args),
});

function contentOf(message: ChatChoice["message"]): JsonObject[] {
  const { thinking_blocks: signed = [], tool_calls: calls = [], reasoning_content: reasoning } = message;
  const order = orderOf(message);
  if (order !== null) {
    const inOrder = order.flatMap((block): JsonObject[] => {
      if (block.kind === "text") return textBlocks(block.text);
      if (block.kind === "thinking") return signed.slice(block.index, block.index + 1);
      return calls.slice(block.index, block.index + 1).map(toolUse);
    });
    return [...inOrder, ...textBlocks(message.refusal ?? "")];
  }
  const unsigned = signed.length === 0 && reasoning ? [{ type: "thinking", thinking: reasoning, signature: "" }] : [];
  return [
    ...signed,
    ...unsigned,
    ...textBlocks((message.content ?? "") + (message.refusal ?? "")),
    ...calls.map(toolUse),
  ];
}

/** Anthropic's format has one answer per request, so only the first choice is used. */
export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  const [choice] = reply.choices;
  const message = choice?.message;
  const content = message === undefined ? [] : contentOf(message);
  return {
    ...messageObject(reply.id || context.fallbackId, context, content),
    stop_reason: stopReason(choice?.finish_reason ?? "stop", choice?.native_finish_reason, Boolean(message?.refusal)),
    usage: encodeUsage(reply.usage),
  };
}
