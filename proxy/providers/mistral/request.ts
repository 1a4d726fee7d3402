/**
 * Canonical → Mistral (https://docs.mistral.ai/api/#tag/chat). Mistral answers 422 to unknown fields, so only fields
 * that it supports are sent.
 */

import { createHash } from "node:crypto";
import {
  type ChatMessage,
  type ChatRequest,
  type ContentPart,
  type Refusal,
  refusal,
  type ToolCall,
} from "../../dialects/canonical.ts";
import { givenBesides, type JsonObject } from "../../wire/json.ts";
import type { CallOptions, ProviderModel } from "../provider.ts";

/** Sent under the same name. */
const same = [
  "temperature",
  "top_p",
  "n",
  "stop",
  "presence_penalty",
  "frequency_penalty",
  "tools",
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

function message(given: ChatMessage): JsonObject {
  const role = given.role === "developer" ? "system" : given.role;
  const content = contentOf(given);
  return {
    role,
    ...(content === undefined ? {} : { content: Array.isArray(content) ? content.map(partOf) : content }),
    ...(given.name === undefined ? {} : { name: given.name }),
    ...(given.tool_calls === undefined ? {} : { tool_calls: given.tool_calls.map(renamed) }),
    ...(given.tool_call_id === undefined ? {} : { tool_call_id: toolId(given.tool_call_id) }),
  };
}

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

export function encodeChat(
  request: ChatRequest,
  model: ProviderModel,
  options: CallOptions,
): { body: JsonObject; dropped: string[] } | Refusal {
  const problem = refused(request);
  if (problem) return problem;
  const body: JsonObject = {
    model: model.config.upstream,
    messages: request.messages.map(message),
    stream: options.stream,
  };
  for (const name of same) if ((request[name] ?? null) !== null) body[name] = request[name];
  const limit = request.max_completion_tokens ?? request.max_tokens ?? null;
  if (limit !== null) body["max_tokens"] = limit;
  if ((request.seed ?? null) !== null) body["random_seed"] = request.seed;
  if ((request.tool_choice ?? null) !== null)
    body["tool_choice"] = request.tool_choice === "required" ? "any" : request.tool_choice;
  const dropped = givenBesides(request, handled);
  return { body, dropped };
}
