/** Canonical answer → `chat.completion` (https://platform.openai.com/docs/api-reference/chat/object). */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatChoice, ChatReply } from "../canonical.ts";
import type { ReplyContext } from "../dialect.ts";
import { encodeUsage } from "./usage.ts";

function encodeChoice(choice: ChatChoice): JsonObject {
  return {
    index: choice.index,
    message: { refusal: null, ...choice.message },
    logprobs: choice.logprobs ?? null,
    finish_reason: choice.finish_reason,
    ...(choice.native_finish_reason === undefined ? {} : { native_finish_reason: choice.native_finish_reason }),
  };
}

export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  return {
    ...reply.extra,
    id: reply.id || context.fallbackId,
    object: "chat.completion",
    created: reply.created || context.createdSeconds,
    model: context.model,
    choices: reply.choices.map(encodeChoice),
    ...(reply.usage === null ? {} : { usage: encodeUsage(reply.usage) }),
  };
}
