/** Canonical answer → a Messages object (https://platform.claude.com/docs/en/api/messages). */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatReply, FinishReason } from "../canonical.ts";
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

/** Anthropic's format has one answer per request, so only the first choice is used. */
export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  const [choice] = reply.choices;
  const message = choice?.message;
  const content: JsonObject[] = [];
  const blocks = message?.thinking_blocks ?? [];
  if (blocks.length > 0) content.push(...blocks);
  else if (message?.reasoning_content)
    content.push({ type: "thinking", thinking: message.reasoning_content, signature: "" });
  const text = (message?.content ?? "") + (message?.refusal ?? "");
  if (text !== "") content.push({ type: "text", text });
  for (const call of message?.tool_calls ?? [])
    content.push({ type: "tool_use", id: call.id, name: call.function.name, input: inputOf(call.function.arguments) });
  return {
    ...messageObject(reply.id || context.fallbackId, context, content),
    stop_reason: stopReason(choice?.finish_reason ?? "stop", choice?.native_finish_reason, Boolean(message?.refusal)),
    usage: encodeUsage(reply.usage),
  };
}
