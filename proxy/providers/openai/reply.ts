/** OpenAI's answers → canonical answers. Fills in what compatible servers leave out. */

import { Buffer } from "node:buffer";
import type {
  ChatChoice,
  ChatReply,
  EmbeddingsReply,
  FinishReason,
  ProviderError,
  ToolCall,
} from "../../dialects/canonical.ts";
import { invalidReply } from "../../dialects/invalid-reply.ts";
import { decodeUsage } from "../../dialects/openai-chat/usage.ts";
import { count } from "../../dialects/usage-counts.ts";
import { judgeReply } from "../../dialects/verdict/answer.ts";
import { isObject, type JsonObject } from "../../wire/json.ts";
import { errorInAnswer } from "../errors.ts";
import { decodeOpenAiError } from "./failure.ts";

/** OpenAI's own reasons, and those of other servers that mean more than an ordinary end. */
const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  content_filter: "content_filter",
  function_call: "function_call",
  // Mistral (https://docs.mistral.ai/api/endpoint/chat).
  model_length: "length",
  // watsonx (https://cloud.ibm.com/apidocs/watsonx-ai#text-chat).
  time_limit: "length",
  // vLLM: the model repeats itself.
  repetition: "length",
  // Servers in front of Anthropic's and Google's models.
  max_tokens: "length",
  safety: "content_filter",
  // Z.ai (https://docs.z.ai/api-reference/llm/chat-completion).
  sensitive: "content_filter",
  model_context_window_exceeded: "length",
};

/** An unknown reason becomes `stop`, or `tool_calls` if tools were called. */
export function finishReason(native: unknown, calledTools: boolean): FinishReason {
  const name = typeof native === "string" ? native.toLowerCase() : "";
  const mapped = Object.hasOwn(finishReasons, name) ? finishReasons[name] : undefined;
  const cutOff = mapped === "length" || mapped === "content_filter";
  if (calledTools && !cutOff) return mapped === "function_call" ? mapped : "tool_calls";
  return mapped ?? "stop";
}

/** The server's own reason, if it differs. */
export const ownReason = (native: unknown, reason: FinishReason): string | null =>
  typeof native === "string" && native !== "" && native !== reason ? native : null;

/** A call without an id gets one in `translatedChat`, as in every format. */
function toolCalls(value: unknown): ToolCall[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isObject).map((call) => {
    const fn = isObject(call["function"]) ? call["function"] : {};
    return {
      id: typeof call["id"] === "string" ? call["id"] : "",
      type: "function",
      function: {
        name: String(fn["name"] ?? ""),
        arguments: typeof fn["arguments"] === "string" ? fn["arguments"] : JSON.stringify(fn["arguments"] ?? {}),
      },
    };
  });
}

/** Older servers answer with the one call of a function in place of a list of calls. */
export const callsIn = ({ tool_calls: calls, function_call: called }: JsonObject): unknown =>
  isObject(called) && (!Array.isArray(calls) || calls.length === 0) ? [{ index: 0, function: called }] : calls;

function decodeChoice(raw: JsonObject, index: number): ChatChoice {
  const message = isObject(raw["message"]) ? raw["message"] : {};
  const calls = toolCalls(callsIn(message));
  const reasoning = message["reasoning_content"] ?? message["reasoning"];
  const reason = finishReason(raw["finish_reason"], calls.length > 0);
  const native = ownReason(raw["finish_reason"], reason);
  const { tool_calls: _calls, function_call: _call, role: _role, content, ...rest } = message;
  return {
    index: typeof raw["index"] === "number" ? raw["index"] : index,
    message: {
      ...rest,
      role: "assistant",
      content: typeof content === "string" ? content : null,
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
      ...(typeof reasoning === "string" ? { reasoning_content: reasoning } : {}),
    },
    ...(raw["logprobs"] === undefined ? {} : { logprobs: raw["logprobs"] }),
    finish_reason: reason,
    ...(native === null ? {} : { native_finish_reason: native }),
    ...(typeof raw["stop_reason"] === "string" ? { stop_sequence: raw["stop_reason"] } : {}),
  };
}

export function decodeChatReply(body: unknown): ChatReply | ProviderError {
  const verdict = judgeReply("openai.chat", body);
  if (verdict.kind === "error") return errorInAnswer(verdict.body, decodeOpenAiError);
  if (verdict.kind === "empty" || !isObject(body) || !Array.isArray(body["choices"])) return invalidReply();
  const { id, created, model, choices, usage, object: _object, ...extra } = body;
  return {
    id: typeof id === "string" ? id : "",
    created: count(created),
    model: typeof model === "string" ? model : "",
    choices: (choices as unknown[]).filter(isObject).map(decodeChoice),
    usage: decodeUsage(usage, body["service_tier"]),
    extra,
  };
}

function vectorOf(value: unknown): number[] | null {
  if (Array.isArray(value)) return value as number[];
  if (typeof value !== "string") return null;
  const bytes = Buffer.from(value, "base64");
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, index) => bytes.readFloatLE(index * 4));
}

export function decodeEmbeddingsReply(body: unknown): EmbeddingsReply | ProviderError {
  if (!isObject(body) || !Array.isArray(body["data"])) return invalidReply();
  const vectors: number[][] = [];
  for (const [index, entry] of (body["data"] as unknown[]).entries()) {
    const vector = isObject(entry) ? vectorOf(entry["embedding"]) : null;
    if (vector === null) return invalidReply();
    vectors[isObject(entry) && typeof entry["index"] === "number" ? entry["index"] : index] = vector;
  }
  return { model: String(body["model"] ?? ""), vectors, usage: decodeUsage(body["usage"]) };
}
