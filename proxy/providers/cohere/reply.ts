/** Cohere's v2 chat answer → canonical answer (https://docs.cohere.com/reference/chat). */

import { randomUUID } from "node:crypto";
import type { ChatReply, FinishReason, ProviderError, ToolCall, Usage } from "../../dialects/canonical.ts";
import { chatAnnotation, webAddress } from "../../dialects/citations.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { Counts } from "../../dialects/usage-counts.ts";
import { isObject, type JsonObject, objectsIn } from "../../wire/json.ts";

export const text = (value: unknown): string => (typeof value === "string" ? value : "");
const member = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);

/**
 * `tokens` is what the model processed, `billed_units` what is charged. The latter is less, since Cohere's own preamble
 * is free.
 */
export function usageOf(usage: unknown): Usage | null {
  if (!isObject(usage) || !(isObject(usage["tokens"]) || isObject(usage["billed_units"]))) return null;
  const counts = new Counts();
  const billed = {
    prompt: counts.of(member(usage["billed_units"], "input_tokens")),
    completion: counts.of(member(usage["billed_units"], "output_tokens")),
  };
  const tokens = {
    prompt: counts.of(member(usage["tokens"], "input_tokens") ?? billed.prompt),
    completion: counts.of(member(usage["tokens"], "output_tokens") ?? billed.completion),
  };
  const report = counts.usage({
    ...tokens,
    cachedPrompt: counts.of(usage["cached_tokens"]),
    cacheWrite: 0,
    reasoning: 0,
  });
  const differs = billed.prompt !== tokens.prompt || billed.completion !== tokens.completion;
  return isObject(usage["billed_units"]) && differs ? { ...report, billed } : report;
}

const finishReasons: Readonly<Record<string, FinishReason>> = {
  COMPLETE: "stop",
  STOP_SEQUENCE: "stop",
  MAX_TOKENS: "length",
  TOOL_CALL: "tool_calls",
};

/** null if the reason doesn't mean failure. */
export function finishFailure(native: unknown, words: unknown): ProviderError | null {
  if (native !== "ERROR" && native !== "TIMEOUT") return null;
  const kind =
    native === "TIMEOUT"
      ? ({ class: "Timeout", code: "upstream_timeout" } as const)
      : ({ class: "ServerError", code: "upstream_error" } as const);
  const message = text(words).slice(0, 512) || "The provider broke off the answer. Try again later.";
  return { ...kind, message, param: null, retryAfterMs: null, upstreamStatus: 200 };
}

export function finishReason(native: unknown, calledTools: boolean): { reason: FinishReason; native?: string } {
  const mapped = typeof native === "string" && Object.hasOwn(finishReasons, native) ? finishReasons[native] : undefined;
  const reason = mapped ?? (calledTools ? "tool_calls" : "stop");
  // COMPLETE and TOOL_CALL say no more than the canonical reasons.
  return typeof native !== "string" || native === "COMPLETE" || native === "TOOL_CALL"
    ? { reason }
    : { reason, native };
}

/** An id if the API sent none, of a length that every provider accepts. */
export const newCallId = (): string => `call_${randomUUID().replaceAll("-", "")}`;

function toolCall(call: JsonObject): ToolCall {
  const fn = call["function"];
  return {
    id: text(call["id"]) || newCallId(),
    type: "function",
    function: { name: text(member(fn, "name")), arguments: text(member(fn, "arguments")) || "{}" },
  };
}

/**
 * A piece of text with the log probabilities of its tokens. The tokens have no text of their own, so the piece gets
 * their sum.
 */
function logprobEntry(item: JsonObject): JsonObject {
  const parts = Array.isArray(item["logprobs"]) ? (item["logprobs"] as unknown[]) : [];
  const logprob = parts.reduce<number>((sum, part) => sum + (typeof part === "number" ? part : 0), 0);
  return { token: text(item["text"]), logprob, bytes: null, top_logprobs: [] };
}

export function logprobsOf(value: unknown): JsonObject | undefined {
  const items = objectsIn(Array.isArray(value) ? value : [value]);
  return items.length === 0 ? undefined : { content: items.map(logprobEntry), refusal: null };
}

function contentOf(message: JsonObject, key: "text" | "thinking"): string {
  if (typeof message["content"] === "string") return key === "text" ? message["content"] : "";
  return objectsIn(message["content"])
    .map((part) => text(part[key]))
    .join("");
}

const position = (value: unknown): number =>
  Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;

/** The address of a document or of a tool's result. */
function addressOf(source: JsonObject): { url: string; title: string } | null {
  const holder = [source["document"], source["tool_output"]].find(isObject);
  const url = webAddress(holder?.["url"]);
  return url === null ? null : { url, title: text(holder?.["title"]) };
}

/**
 * Web pages that a text cites (https://docs.cohere.com/docs/rag-citations). `from`: where each part of the content begins.
 * Sources without an address have no place among OpenAI's annotations.
 */
export function annotationsOf(citations: unknown, from: (part: unknown) => number | null): JsonObject[] {
  return objectsIn(Array.isArray(citations) ? citations : [citations]).flatMap((citation) => {
    const base = from(citation["content_index"]);
    if (base === null) return [];
    const start = base + position(citation["start"]);
    const end = base + position(citation["end"]);
    return objectsIn(citation["sources"]).flatMap((source) => {
      const page = addressOf(source);
      return page === null ? [] : [chatAnnotation({ ...page, start, end })];
    });
  });
}

/** All of them in Cohere's own form, which also names documents of the request and results of tools. */
export const ownCitations = (given: unknown): { citations?: readonly JsonObject[] } => {
  const citations = objectsIn(Array.isArray(given) ? given : [given]);
  return citations.length > 0 ? { citations } : {};
};

/** Positions are in a part of the content. Thoughts are no part of the answer's text. */
function annotationsIn(message: JsonObject): JsonObject[] {
  let length = 0;
  const starts = objectsIn(message["content"]).map((part) => {
    const start = length;
    length += text(part["text"]).length;
    return part["type"] === "thinking" ? null : start;
  });
  // Older models don't say which part: there is only one text.
  const firstText = starts.findIndex((start) => start !== null);
  return annotationsOf(message["citations"], (part) =>
    starts.length === 0 ? 0 : (starts[Number(part ?? firstText)] ?? null),
  );
}

export function decodeCohereReply(body: unknown): ChatReply | ProviderError {
  if (!isObject(body) || !isObject(body["message"])) return invalidReply();
  const failure = finishFailure(body["finish_reason"], body["error"]);
  if (failure) return failure;
  const message = body["message"];
  const calls = objectsIn(message["tool_calls"]).map(toolCall);
  const content = contentOf(message, "text");
  const reasoning = contentOf(message, "thinking") + text(message["tool_plan"]);
  const { reason, native } = finishReason(body["finish_reason"], calls.length > 0);
  const logprobs = logprobsOf(body["logprobs"]);
  const annotations = annotationsIn(message);
  return {
    id: text(body["id"]),
    created: 0,
    model: "",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: content === "" && calls.length > 0 ? null : content,
          ...(annotations.length > 0 ? { annotations } : {}),
          ...ownCitations(message["citations"]),
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
          ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
        },
        ...(logprobs === undefined ? {} : { logprobs }),
        finish_reason: reason,
        ...(native === undefined ? {} : { native_finish_reason: native }),
      },
    ],
    usage: usageOf(body["usage"]),
  };
}
