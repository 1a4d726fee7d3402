/** Canonical answer → `chat.completion` (https://platform.openai.com/docs/api-reference/chat/object). */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatChoice, ChatReply } from "../canonical.ts";
import type { ReplyContext } from "../dialect.ts";
import { tierOf } from "../usage-counts.ts";
import { clientCall, freeformNames } from "./custom-tools.ts";
import { functionCallOf, functionReason, offersFunctions } from "./legacy-functions.ts";
import { hidesReasoning, withoutReasoning } from "./spellings.ts";
import { encodeUsage } from "./usage.ts";

interface ClientForms {
  freeform: ReadonlySet<string>;
  functions: boolean;
  hidesReasoning: boolean;
}

function encodeChoice(choice: ChatChoice, { freeform, functions, hidesReasoning }: ClientForms): JsonObject {
  const { tool_calls: calls, ...message } = hidesReasoning ? withoutReasoning(choice.message) : choice.message;
  const ownCalls = functions
    ? functionCallOf(calls)
    : calls === undefined
      ? {}
      : { tool_calls: calls.map((call) => clientCall(call, freeform)) };
  return {
    index: choice.index,
    message: {
      refusal: null,
      ...message,
      ...ownCalls,
    },
    logprobs: choice.logprobs ?? null,
    finish_reason: functions ? functionReason(choice.finish_reason) : choice.finish_reason,
    ...(choice.native_finish_reason === undefined ? {} : { native_finish_reason: choice.native_finish_reason }),
  };
}

export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  const { body } = context;
  const forms: ClientForms = {
    freeform: freeformNames(body),
    functions: offersFunctions(body),
    hidesReasoning: hidesReasoning(body),
  };
  const tier = tierOf(reply.usage);
  return {
    ...(tier === null ? {} : { service_tier: tier }),
    ...reply.extra,
    id: reply.id || context.fallbackId,
    object: "chat.completion",
    created: reply.created || context.createdSeconds,
    model: context.model,
    choices: reply.choices.map((choice) => encodeChoice(choice, forms)),
    ...(reply.usage === null ? {} : { usage: encodeUsage(reply.usage) }),
  };
}
