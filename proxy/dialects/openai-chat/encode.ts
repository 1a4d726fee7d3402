/** Canonical answers → OpenAI chat completions, whole and streamed. */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatReply, StreamEvent, Usage } from "../canonical.ts";
import type { ChatStreamEncoder, ReplyContext } from "../dialect.ts";

export function encodeUsage(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
    total_tokens: usage.prompt + usage.completion,
    prompt_tokens_details: { cached_tokens: usage.cachedPrompt },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}

export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  return {
    ...reply.extra,
    id: reply.id || `chatcmpl-${context.fallbackId}`,
    object: "chat.completion",
    created: reply.created || context.createdSeconds,
    model: context.model,
    choices: reply.choices.map((choice) => ({
      logprobs: null,
      ...choice,
      message: { refusal: null, ...choice.message },
    })),
    ...(reply.usage === null ? {} : { usage: encodeUsage(reply.usage) }),
  };
}

export function encoder(context: ReplyContext): ChatStreamEncoder {
  let id = `chatcmpl-${context.fallbackId}`;
  let usage: Usage | null = null;
  const begun = new Set<number>();
  const frame = (choices: JsonObject[], more: JsonObject = {}): string => {
    const pending = context.includeUsage ? { usage: null } : {};
    const chunk = {
      id,
      object: "chat.completion.chunk",
      created: context.createdSeconds,
      model: context.model,
      choices,
      ...pending,
      ...more,
    };
    return `data: ${JSON.stringify(chunk)}\n\n`;
  };
  const begin = (choice: number): string => {
    if (begun.has(choice)) return "";
    begun.add(choice);
    return frame([{ index: choice, delta: { role: "assistant", content: "" }, logprobs: null, finish_reason: null }]);
  };
  const end = (): string =>
    `${usage && context.includeUsage ? frame([], { usage: encodeUsage(usage) }) : ""}data: [DONE]\n\n`;
  return {
    encode(event: StreamEvent): string {
      switch (event.kind) {
        case "start":
          id = event.id ?? id;
          return "";
        case "delta":
          return (
            begin(event.choice) +
            frame([{ index: event.choice, delta: event.delta, logprobs: event.logprobs ?? null, finish_reason: null }])
          );
        case "finish": {
          const native = event.native === undefined ? {} : { native_finish_reason: event.native };
          return (
            begin(event.choice) +
            frame([{ index: event.choice, delta: {}, logprobs: null, finish_reason: event.reason, ...native }])
          );
        }
        case "usage":
          usage = event.usage;
          return "";
        case "ping":
          return ": ping\n\n";
        case "end":
          return end();
        default:
          return "";
      }
    },
  };
}
