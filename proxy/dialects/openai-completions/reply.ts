/**
 * Canonical answer → `text_completion`, whole and as a stream. Reasoning has no place in this format and is dropped.
 */
import type { JsonObject } from "../../wire/json.ts";
import type { ChatReply, FinishReason, StreamEvent, Usage } from "../canonical.ts";
import type { ChatStreamEncoder, ReplyContext } from "../dialect.ts";
import { encodeUsage } from "../openai-chat/usage.ts";

/** Completions have only these three. */
function finishReason(reason: FinishReason): string {
  return reason === "length" || reason === "content_filter" ? reason : "stop";
}

function choiceOf(index: number, text: string, reason: string | null, native?: string): JsonObject {
  return {
    text,
    index,
    logprobs: null,
    finish_reason: reason,
    ...(native === undefined ? {} : { native_finish_reason: native }),
  };
}

export function encodeReply(reply: ChatReply, context: ReplyContext): JsonObject {
  return {
    ...reply.extra,
    id: reply.id || context.fallbackId,
    object: "text_completion",
    created: reply.created || context.createdSeconds,
    model: context.model,
    choices: reply.choices.map(({ index, message, finish_reason, native_finish_reason }) =>
      choiceOf(
        index,
        (message.content ?? "") + (message.refusal ?? ""),
        finishReason(finish_reason),
        native_finish_reason,
      ),
    ),
    ...(reply.usage === null ? {} : { usage: encodeUsage(reply.usage) }),
  };
}

export class CompletionsEncoder implements ChatStreamEncoder {
  readonly #context: ReplyContext;
  #id: string;
  #usage: Usage | null = null;

  constructor(context: ReplyContext) {
    this.#context = context;
    this.#id = context.fallbackId;
  }

  encode(event: StreamEvent): string {
    switch (event.kind) {
      case "start":
        this.#id = event.id || this.#id;
        return "";
      case "delta":
        return this.#text(event.choice, (event.delta.content ?? "") + (event.delta.refusal ?? ""));
      case "finish":
        return this.#chunk([choiceOf(event.choice, "", finishReason(event.reason), event.native)], null);
      case "usage":
        this.#usage = event.usage;
        return "";
      case "ping":
        return ": ping\n\n";
      case "end":
        return `${this.#usage !== null && this.#context.includeUsage ? this.#chunk([], encodeUsage(this.#usage)) : ""}data: [DONE]\n\n`;
      case "error":
        return "";
    }
  }

  #text(index: number, text: string): string {
    return text === "" ? "" : this.#chunk([choiceOf(index, text, null)], null);
  }

  #chunk(choices: JsonObject[], usage: JsonObject | null): string {
    const { createdSeconds: created, model, includeUsage } = this.#context;
    return `data: ${JSON.stringify({ id: this.#id, object: "text_completion", created, model, choices, ...(includeUsage ? { usage } : {}) })}\n\n`;
  }
}
