/**
 * Canonical → watsonx text chat (https://cloud.ibm.com/apidocs/watsonx-ai#text-chat). It has no `stream` field, and
 * refuses unknown fields.
 */

import {
  type ChatMessage,
  type ChatRequest,
  type ContentPart,
  type Refusal,
  refusal,
} from "../../dialects/canonical.ts";
import type { JsonObject } from "../../wire/json.ts";
import { unreadParameters } from "../idle-values.ts";
import { nearestEffort } from "../model-facts.ts";
import type { CallOptions, ProviderAccount, ProviderModel } from "../provider.ts";

/** Sent under the same name. */
const same = [
  "temperature",
  "top_p",
  "n",
  "seed",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "tools",
  "response_format",
  "reasoning_effort",
  "include_reasoning",
  "chat_template_kwargs",
] as const;

/** Values of `reasoning_effort`. */
const efforts = { efforts: ["low", "medium", "high"] };

/** Handled separately below, or meaningless to the provider. */
const handled: ReadonlySet<string> = new Set([
  ...same,
  "model",
  "messages",
  "stream",
  "stream_options",
  "stop",
  "max_tokens",
  "max_completion_tokens",
  "tool_choice",
  "parallel_tool_calls",
]);

const said = (part: ContentPart): ContentPart =>
  part.type === "refusal" ? { type: "text", text: part.refusal } : part;

function message(given: ChatMessage): JsonObject {
  const { role, content, name, tool_calls, tool_call_id, refusal: refused } = given;
  return {
    role: role === "developer" ? "system" : role,
    ...(content === undefined || content === null
      ? {}
      : { content: Array.isArray(content) ? content.map(said) : content }),
    ...(content == null && refused ? { content: refused } : {}),
    ...(name === undefined ? {} : { name }),
    ...(tool_calls === undefined ? {} : { tool_calls }),
    ...(tool_call_id === undefined ? {} : { tool_call_id }),
  };
}

function refused(request: ChatRequest): Refusal | null {
  for (const [index, message] of request.messages.entries()) {
    if (message.role === "function")
      return refusal(
        `messages[${index}].role`,
        "watsonx doesn't support function messages. Use `tool_calls` and the role tool.",
      );
    const parts = Array.isArray(message.content) ? message.content : [];
    const other = parts.find((part) => part.type === "input_audio" || part.type === "file");
    if (other) return refusal(`messages[${index}].content`, `Parts of type ${other.type} can't be sent to watsonx.`);
  }
  return null;
}

/** The project or space that the call is made for. The compiler makes sure that there is exactly one. */
export function owner(account: ProviderAccount): JsonObject {
  const { projectId, spaceId } = account.config.options;
  return projectId === undefined ? { space_id: spaceId } : { project_id: projectId };
}

function toolChoice(choice: ChatRequest["tool_choice"]): JsonObject {
  if (choice === null || choice === undefined) return {};
  return typeof choice === "string" ? { tool_choice_option: choice } : { tool_choice: choice };
}

export function encodeChat(
  request: ChatRequest,
  account: ProviderAccount,
  model: ProviderModel,
  options: CallOptions,
): { body: JsonObject; dropped: string[] } | Refusal {
  const problem = refused(request);
  if (problem) return problem;
  const body: JsonObject = {
    model_id: model.config.upstream,
    ...owner(account),
    messages: request.messages.map(message),
    // The default is small; 0 means as many as the model allows.
    max_completion_tokens: request.max_completion_tokens ?? request.max_tokens ?? model.config.maxOutputTokens ?? 0,
    time_limit: Math.max(1, Math.floor(options.deadlineMs)),
    ...toolChoice(request.tool_choice),
  };
  for (const name of same) if ((request[name] ?? null) !== null) body[name] = request[name];
  if (request.reasoning_effort != null) body["reasoning_effort"] = nearestEffort(request.reasoning_effort, efforts);
  if ((request.stop ?? null) !== null) body["stop"] = typeof request.stop === "string" ? [request.stop] : request.stop;
  const dropped = unreadParameters(request, handled);
  return { body, dropped };
}
