/**
 * Canonical → Mistral (https://docs.mistral.ai/api/#tag/chat). Mistral answers 422 to unknown fields, so only fields
 * that it supports are sent.
 */

import { createHash } from "node:crypto";
import {
  type ChatMessage,
  type ChatRequest,
  type ContentPart,
  type FunctionTool,
  type Refusal,
  refusal,
  type ToolCall,
} from "../../dialects/canonical.ts";
import { isSet, type JsonObject } from "../../wire/json.ts";
import { unreadParameters } from "../idle-values.ts";
import type { CallOptions, ProviderModel } from "../provider.ts";

/** Sent under the same name. */
const same = [
  "temperature",
  "top_p",
  "n",
  "stop",
  "presence_penalty",
  "frequency_penalty",
  "parallel_tool_calls",
  "response_format",
  "prediction",
  "safe_prompt",
  "prompt_mode",
  "reasoning_effort",
] as const;

/** Handled separately below, or meaningless to the provider. */
const handled: ReadonlySet<string> = new Set([
  ...same,
  "model",
  "messages",
  "stream",
  "stream_options",
  "max_tokens",
  "max_completion_tokens",
  "seed",
  "tools",
  "tool_choice",
]);

/** Mistral's own ids have nine letters or digits, and others may be refused. Equal ids stay equal. */
function toolId(id: string): string {
  if (/^[A-Za-z0-9]{9}$/.test(id)) return id;
  const digest = createHash("sha256").update(id).digest("base64url").replace(/[-_]/g, "");
  return digest.slice(0, 9).padEnd(9, "0");
}

/** A call without arguments has an empty object. */
function renamed({ id, type, function: { name, arguments: given } }: ToolCall): ToolCall {
  return { id: toolId(id), type, function: { name, arguments: given === "" ? "{}" : given } };
}

/**
 * Documents by data URI or address (https://docs.mistral.ai/capabilities/document_ai/document_qna), and audio as plain
 * base64 (https://docs.mistral.ai/capabilities/audio_transcription).
 */
function partOf(part: ContentPart): JsonObject | ContentPart {
  switch (part.type) {
    case "refusal":
      return { type: "text", text: part.refusal };
    case "file": {
      const { file_data: document_url = "", filename } = part.file;
      return { type: "document_url", document_url, ...(filename === undefined ? {} : { document_name: filename }) };
    }
    case "input_audio":
      return { type: "input_audio", input_audio: part.input_audio.data };
    default:
      return part;
  }
}

/** An assistant's turn without calls needs a content: what it refused with, if that is all it said. */
function contentOf({ role, content, tool_calls, refusal: refused }: ChatMessage): ChatMessage["content"] {
  if (role !== "assistant" || (tool_calls ?? []).length > 0) return content;
  return content === null || content === undefined || content.length === 0 ? (refused ?? "") : content;
}

function message(given: ChatMessage, last: boolean): JsonObject {
  const role = given.role === "developer" ? "system" : given.role;
  const content = contentOf(given);
  return {
    role,
    ...(content === undefined ? {} : { content: Array.isArray(content) ? content.map(partOf) : content }),
    // Of messages, only a tool's has a name.
    ...(given.name === undefined || role !== "tool" ? {} : { name: given.name }),
    ...(given.tool_calls === undefined ? {} : { tool_calls: given.tool_calls.map(renamed) }),
    // The model continues it (https://docs.mistral.ai/capabilities/completion/prefix).
    ...(last && role === "assistant" && (given.tool_calls ?? []).length === 0 ? { prefix: true } : {}),
    ...(given.tool_call_id === undefined ? {} : { tool_call_id: toolId(given.tool_call_id) }),
  };
}

/** Mistral requires the parameters of a function, even if it has none. */
const withParameters = (tool: FunctionTool): FunctionTool =>
  tool.function.parameters === undefined
    ? { ...tool, function: { ...tool.function, parameters: { type: "object", properties: {} } } }
    : tool;

function refused(request: ChatRequest): Refusal | null {
  for (const [index, message] of request.messages.entries()) {
    if (message.role === "function")
      return refusal(
        `messages[${index}].role`,
        "Mistral doesn't support function messages. Use `tool_calls` and the role tool.",
      );
    const parts = Array.isArray(message.content) ? message.content : [];
    if (parts.some((part) => part.type === "file" && part.file.file_data === undefined))
      return refusal(
        `messages[${index}].content`,
        "Mistral has no access to OpenAI's files. Send the file itself as a data URI in `file_data`.",
      );
  }
  return null;
}

/** Parameters under Mistral's names. */
function parametersOf(request: ChatRequest): JsonObject {
  const out: JsonObject = {};
  for (const name of same) if (isSet(request[name])) out[name] = request[name];
  const tools = (request.tools ?? []).map(withParameters);
  if (tools.length > 0) out["tools"] = tools;
  const limit = request.max_completion_tokens ?? request.max_tokens ?? null;
  if (limit !== null) out["max_tokens"] = limit;
  if (isSet(request.seed)) out["random_seed"] = request.seed;
  if (isSet(request.tool_choice)) out["tool_choice"] = request.tool_choice === "required" ? "any" : request.tool_choice;
  return out;
}

export function encodeChat(
  request: ChatRequest,
  model: ProviderModel,
  options: CallOptions,
): { body: JsonObject; dropped: string[] } | Refusal {
  const problem = refused(request);
  if (problem) return problem;
  const { messages } = request;
  const hasNames = messages.some(({ name, role }) => name !== undefined && role !== "tool");
  return {
    body: {
      model: model.config.upstream,
      messages: messages.map((given, index) => message(given, index === messages.length - 1)),
      stream: options.stream,
      ...parametersOf(request),
    },
    dropped: [...unreadParameters(request, handled), ...(hasNames ? ["messages.name"] : [])],
  };
}
